// KVM's paravirtual clock (Linux Documentation/virt/kvm/x86/msr.rst and cpuid.rst): the frequency of the TSC and
// the wall clock, as the hypervisor knows them. Used once at boot; time then runs on the TSC alone.
#pragma once

#include <cstdint>

#include "core/result.h"
#include "core/types.h"

namespace drivers {

// struct pvclock_vcpu_time_info.
struct PvClock {
    uint32_t version;
    uint32_t padding;
    uint64_t tsc_timestamp;
    uint64_t system_time;
    uint32_t tsc_to_system_multiplier;
    int8_t tsc_shift;
    uint8_t flags;
    uint8_t padding2[2];
};
static_assert(sizeof(PvClock) == 32);

// ns = ((tsc << shift) * multiplier) >> 32. EINVAL for scales that no processor has.
Result<uint64_t> pvclock_tsc_khz(const PvClock& clock);
Result<Nanoseconds> pvclock_to_ns(const PvClock& clock, uint64_t tsc);

// On this processor; needs the direct map. ENODEV: not under KVM, or it offers no clock.
Result<uint64_t> kvmclock_tsc_khz();
// Nanoseconds since 1970 now. ENODEV as above.
Result<Nanoseconds> kvmclock_wall_time();

}  // namespace drivers
