// The page before the vDSO that the kernel writes and programs read.
#pragma once

#include <cstdint>

namespace abi {

// CLOCK_MONOTONIC = ((tsc - tsc_base) * multiplier >> 32) + offset_ns, as arch/x86_64/clock.h; the first three never
// change while programs run. The last changes as one word (clock_settime), so that no sequence lock is needed.
struct VdsoData {
    uint64_t tsc_base, multiplier, offset_ns;
    uint64_t realtime_offset_ns;
};

}  // namespace abi
