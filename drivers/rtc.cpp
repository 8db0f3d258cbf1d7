#include "drivers/rtc.h"

#include "drivers/registers.h"

namespace drivers {
namespace {

constexpr uint8_t kBinary = 1 << 2, k24Hours = 1 << 1, kAfternoon = 1 << 7;

// Days from 1970-01-01 to a date of the proleptic Gregorian calendar.
uint64_t days_since_epoch(unsigned year, unsigned month, unsigned day) {
    // Years that start in March put the leap day last.
    unsigned y = month <= 2 ? year - 1 : year;
    unsigned m = month <= 2 ? month + 9 : month - 3;
    uint64_t days = uint64_t{365} * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1;
    return days - 719468;
}

unsigned days_in(unsigned year, unsigned month) {
    static constexpr uint8_t kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return kDays[month - 1] + (month == 2 && leap ? 1 : 0);
}

uint8_t read_register(uint8_t index) {
    out8(0x70, index);
    return in8(0x71);
}

RtcRegisters read_all() {
    return {read_register(0x00), read_register(0x02), read_register(0x04), read_register(0x07),
            read_register(0x08), read_register(0x09), read_register(0x32), read_register(0x0b)};
}

}  // namespace

Result<uint64_t> rtc_to_epoch(const RtcRegisters& registers) {
    bool valid = true;
    auto number = [&](uint8_t value) -> unsigned {
        if (registers.status_b & kBinary) return value;
        if ((value & 0xf) > 9 || (value >> 4) > 9) valid = false;
        return (value >> 4) * 10u + (value & 0xf);
    };
    unsigned second = number(registers.second), minute = number(registers.minute);
    bool half_days = !(registers.status_b & k24Hours);
    unsigned hour = number(half_days ? registers.hour & ~kAfternoon : registers.hour);
    if (half_days) {
        if (hour < 1 || hour > 12) return fail(Errno::kInval);
        hour = hour % 12 + (registers.hour & kAfternoon ? 12 : 0);
    }
    unsigned day = number(registers.day), month = number(registers.month), year = number(registers.year);
    // Without a century register (0x00 or 0xff) the years 70 to 99 are those of the last century.
    if (registers.century == 0 || registers.century == 0xff) year += year < 70 ? 2000 : 1900;
    else year += 100 * number(registers.century);
    if (!valid || second > 59 || minute > 59 || hour > 23 || month < 1 || month > 12 || year < 1970 || year > 2199 ||
        day < 1 || day > days_in(year, month)) {
        return fail(Errno::kInval);
    }
    return days_since_epoch(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
}

Result<uint64_t> read_rtc() {
    constexpr uint8_t kStatusA = 0x0a, kUpdateInProgress = 1 << 7;
    RtcRegisters last;
    // An update changes all registers; two equal readings outside of one are consistent.
    for (unsigned attempt = 0; attempt < 10'000; attempt++) {
        uint8_t status = read_register(kStatusA);
        if (status == 0xff) return fail(Errno::kNoDev);
        if (status & kUpdateInProgress) {
            cpu_relax();
            continue;
        }
        RtcRegisters now = read_all();
        if (attempt > 0 && now == last) return rtc_to_epoch(now);
        last = now;
    }
    return fail(Errno::kNoDev);
}

}  // namespace drivers
