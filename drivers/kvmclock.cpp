#include "drivers/kvmclock.h"

namespace drivers {

Result<uint64_t> pvclock_tsc_khz(const PvClock& clock) {
    if (clock.tsc_to_system_multiplier == 0 || clock.tsc_shift < -31 || clock.tsc_shift > 31) {
        return fail(Errno::kInval);
    }
    // One millisecond is (khz << shift) * multiplier >> 32 nanoseconds.
    uint64_t khz = (uint64_t{1'000'000} << 32) / clock.tsc_to_system_multiplier;
    khz = clock.tsc_shift < 0 ? khz << -clock.tsc_shift : khz >> clock.tsc_shift;
    if (khz < 1'000 || khz > 100'000'000) return fail(Errno::kInval);  // 1 MHz to 100 GHz
    return khz;
}

Result<Nanoseconds> pvclock_to_ns(const PvClock& clock, uint64_t tsc) {
    if (clock.tsc_shift < -31 || clock.tsc_shift > 31) return fail(Errno::kInval);
    uint64_t delta = tsc - clock.tsc_timestamp;
    delta = clock.tsc_shift < 0 ? delta >> -clock.tsc_shift : delta << clock.tsc_shift;
    auto scaled = static_cast<unsigned __int128>(delta) * clock.tsc_to_system_multiplier >> 32;
    return clock.system_time + static_cast<uint64_t>(scaled);
}

}  // namespace drivers
