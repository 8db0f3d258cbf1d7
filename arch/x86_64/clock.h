// The clock source: nanoseconds since boot from the TSC.
#pragma once

#include <cstdint>

#include "core/types.h"

namespace arch {

// ns = ((tsc - base) * multiplier) >> 32, plus `offset_ns`. The vDSO page holds a copy (libc-compat/vdso).
struct ClockScale {
    uint64_t tsc_base = 0;
    uint64_t multiplier = 0;  // nanoseconds per tick, 32.32 fixed point
    uint64_t offset_ns = 0;
};

// `tsc_khz` 0: measured against the local APIC timer (about 1 ms). Needs initialize_local_apic().
void initialize_clock(uint64_t tsc_khz);
Nanoseconds now_ns();
uint64_t tsc_khz();
ClockScale clock_scale();

}  // namespace arch
