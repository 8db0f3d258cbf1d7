// Test support: allocations of a running machine that fail (docs/boot-protocol.md, test_fail_allocation). Host tests use
// inject_allocation_failure() of mm/frames.h.
#pragma once

#include <cstdint>

namespace mm {

// From now on every n-th allocation for which `concerns_caller` is true fails, of frames and of the kernel heap alike.
// It is asked at each allocation, under any lock, so it must neither lock nor allocate. n > 0.
void fail_every(uint64_t n, bool (*concerns_caller)());

// Did this processor's last allocation that failed do so on purpose? Asking forgets it. A page fault that fails so is tried
// again, and nobody is killed for the sake of memory that is there.
bool failed_on_purpose();

}  // namespace mm
