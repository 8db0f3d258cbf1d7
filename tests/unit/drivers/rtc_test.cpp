#include <gtest/gtest.h>

#include "drivers/kvmclock.h"
#include "drivers/rtc.h"

namespace {

using drivers::rtc_to_epoch;
using drivers::RtcRegisters;

constexpr uint8_t kBinary24 = 0x06, kBcd24 = 0x02, kBcd12 = 0x00;

TEST(Rtc, BcdAndBinaryAgree) {
    // 2024-02-29 13:59:58 UTC is 1709215198 (date -u -d @1709215198).
    EXPECT_EQ(*rtc_to_epoch({0x58, 0x59, 0x13, 0x29, 0x02, 0x24, 0x20, kBcd24}), 1709215198u);
    EXPECT_EQ(*rtc_to_epoch({58, 59, 13, 29, 2, 24, 20, kBinary24}), 1709215198u);
    EXPECT_EQ(*rtc_to_epoch({0x58, 0x59, 0x81, 0x29, 0x02, 0x24, 0x20, kBcd12}), 1709215198u);
}

TEST(Rtc, TwelveHourClockAtMidnightAndNoon) {
    EXPECT_EQ(*rtc_to_epoch({0, 0, 0x12, 0x01, 0x01, 0x70, 0x19, kBcd12}), 0u);
    EXPECT_EQ(*rtc_to_epoch({0, 0, 0x92, 0x01, 0x01, 0x70, 0x19, kBcd12}), 12u * 3600);
    EXPECT_FALSE(rtc_to_epoch({0, 0, 0x13, 0x01, 0x01, 0x70, 0x19, kBcd12}));
    EXPECT_FALSE(rtc_to_epoch({0, 0, 0x00, 0x01, 0x01, 0x70, 0x19, kBcd12}));
}

TEST(Rtc, CenturyIsGuessedWhereTheRegisterIsMissing) {
    EXPECT_EQ(*rtc_to_epoch({0, 0, 0, 1, 1, 0, 0, kBinary24}), 946684800u);
    EXPECT_EQ(*rtc_to_epoch({0, 0, 0, 1, 1, 70, 0xff, kBinary24}), 0u);
}

TEST(Rtc, EveryDayFollowsTheOneBefore) {
    static constexpr uint8_t kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    uint64_t expected = 0;
    for (unsigned year = 1970; year < 2200; year++) {
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        for (uint8_t month = 1; month <= 12; month++) {
            for (uint8_t day = 1; day <= kDays[month - 1] + (month == 2 && leap); day++, expected += 86400) {
                auto seconds = rtc_to_epoch({0, 0, 0, day, month, static_cast<uint8_t>(year % 100),
                                             static_cast<uint8_t>(year / 100), kBinary24});
                ASSERT_TRUE(seconds);
                ASSERT_EQ(*seconds, expected);
            }
        }
    }
}

TEST(Rtc, NonsenseIsRefused) {
    EXPECT_FALSE(rtc_to_epoch({60, 0, 0, 1, 1, 24, 20, kBinary24}));
    EXPECT_FALSE(rtc_to_epoch({0, 60, 0, 1, 1, 24, 20, kBinary24}));
    EXPECT_FALSE(rtc_to_epoch({0, 0, 24, 1, 1, 24, 20, kBinary24}));
    EXPECT_FALSE(rtc_to_epoch({0, 0, 0, 0, 1, 24, 20, kBinary24}));
    EXPECT_FALSE(rtc_to_epoch({0, 0, 0, 30, 2, 24, 20, kBinary24}));
    EXPECT_FALSE(rtc_to_epoch({0, 0, 0, 1, 0, 24, 20, kBinary24}));
    EXPECT_FALSE(rtc_to_epoch({0, 0, 0, 1, 13, 24, 20, kBinary24}));
    EXPECT_FALSE(rtc_to_epoch({0x5a, 0, 0, 1, 1, 0x24, 0x20, kBcd24})) << "no BCD digit";
    EXPECT_FALSE(rtc_to_epoch({0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}));
    EXPECT_FALSE(rtc_to_epoch({0, 0, 0, 1, 1, 24, 99, kBinary24}));
}

TEST(KvmClock, ScaleGivesFrequencyAndTime) {
    // What KVM computes for 2.5 GHz: 10^9 / 2.5 * 10^9 = 0.4 = 0.8 >> 1.
    drivers::PvClock clock{};
    clock.tsc_shift = -1;
    clock.tsc_to_system_multiplier = 3435973836u;  // 0.8 * 2^32
    clock.tsc_timestamp = 1'000'000;
    clock.system_time = 500;
    EXPECT_NEAR(static_cast<double>(*drivers::pvclock_tsc_khz(clock)), 2'500'000, 2);
    EXPECT_EQ(*drivers::pvclock_to_ns(clock, 1'000'000), 500u);
    EXPECT_NEAR(static_cast<double>(*drivers::pvclock_to_ns(clock, 1'000'000 + 2'500'000'000)), 1'000'000'500, 2);
    clock.tsc_shift = 1;  // 500 MHz: 2.0 = 1.0 (just below) << 1
    clock.tsc_to_system_multiplier = 0xffff'ffff;
    EXPECT_NEAR(static_cast<double>(*drivers::pvclock_tsc_khz(clock)), 500'000, 1);
}

TEST(KvmClock, BrokenScalesAreRefused) {
    drivers::PvClock clock{};
    EXPECT_FALSE(drivers::pvclock_tsc_khz(clock));
    clock.tsc_to_system_multiplier = 1;
    clock.tsc_shift = 100;
    EXPECT_FALSE(drivers::pvclock_tsc_khz(clock));
    EXPECT_FALSE(drivers::pvclock_to_ns(clock, 0));
    clock.tsc_shift = -20;
    EXPECT_FALSE(drivers::pvclock_tsc_khz(clock)) << "4 * 10^21 kHz";
}

}  // namespace
