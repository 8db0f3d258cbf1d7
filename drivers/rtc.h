// The CMOS real-time clock (Motorola MC146818A data sheet; register 0x32 as the century by convention).
#pragma once

#include <cstdint>

#include "core/result.h"

namespace drivers {

// Registers as read: BCD or binary, 12 or 24 hours, as status register B says.
struct RtcRegisters {
    uint8_t second = 0, minute = 0, hour = 0, day = 0, month = 0, year = 0, century = 0, status_b = 0;
    bool operator==(const RtcRegisters&) const = default;
};
// Seconds since 1970-01-01 00:00:00 UTC. EINVAL: not a date between 1970 and 2199.
Result<uint64_t> rtc_to_epoch(const RtcRegisters& registers);

// Reads the clock; the machine is taken to keep UTC. ENODEV: no clock answers. May wait 2 ms for an update to end.
Result<uint64_t> read_rtc();

}  // namespace drivers
