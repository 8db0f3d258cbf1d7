#include "core/log.h"

#include <gtest/gtest.h>

#include <string>

namespace {

std::string last_line;
void keep(std::string_view line) { last_line = line; }

TEST(Log, FormatsArguments) {
    char buffer[128];
    EXPECT_EQ(core::klog::format(buffer, sizeof(buffer), "{} {:x} {} {}", -5, 255u, "text", true), "-5 ff text true");
    EXPECT_EQ(core::klog::format(buffer, sizeof(buffer), "{}", PhysAddr(0x1000)), "0x1000");
    EXPECT_EQ(core::klog::format(buffer, sizeof(buffer), "{}", core::Errno::kNoEnt), "ENOENT");
    EXPECT_EQ(core::klog::format(buffer, sizeof(buffer), "{}", INT64_MIN), "-9223372036854775808");
}

TEST(Log, TooFewOrManyArgumentsAndOpenBracesHarmNobody) {
    char buffer[128];
    EXPECT_EQ(core::klog::format(buffer, sizeof(buffer), "{} {}", 1), "1 ");
    EXPECT_EQ(core::klog::format(buffer, sizeof(buffer), "a{", 1), "a{");
    EXPECT_EQ(core::klog::format(buffer, sizeof(buffer), "a", 1, 2), "a");
}

TEST(Log, CutsWhatDoesNotFit) {
    char buffer[4];
    EXPECT_EQ(core::klog::format(buffer, sizeof(buffer), "{}", "abcdefgh"), "abcd");
}

TEST(Log, WritesOneRecordALineAndObeysTheLevel) {
    core::klog::set_sink(keep);
    core::klog::set_level(core::klog::Level::kWarn);
    klog::warn("pid {}", 7);
    EXPECT_EQ(last_line, "[0.000000] warn: pid 7\n");
    last_line.clear();
    klog::info("hidden");
    EXPECT_EQ(last_line, "");
    std::string huge(2000, 'x');
    klog::error("{}", huge);
    EXPECT_EQ(last_line.size(), 512u);
    EXPECT_EQ(last_line.back(), '\n');
    core::klog::set_sink(nullptr);
}

}  // namespace
