#include "boot/command_line.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/weakness.h"

namespace {

std::vector<std::string> log_lines;
void keep(std::string_view line) { log_lines.emplace_back(line); }

boot::Options parse(std::string_view line) {
    log_lines.clear();
    core::klog::set_sink(keep);
    core::klog::set_level(core::klog::Level::kWarn);
    auto options = boot::parse(line);
    core::klog::set_sink(nullptr);
    EXPECT_TRUE(options);
    return std::move(*options);
}

std::vector<std::string> arguments(const boot::Options& options) {
    std::vector<std::string> result;
    for (const core::String& argument : options.arguments) result.emplace_back(argument.view());
    return result;
}

TEST(CommandLine, SplitsOptionsAndProgram) {
    auto options = parse("log=debug hostname=web%31 cwd=/srv env=A%3DB -- /bin/sh -c echo%20hi");
    EXPECT_EQ(options.log_level, core::klog::Level::kDebug);
    EXPECT_EQ(options.hostname.view(), "web1");
    EXPECT_EQ(options.working_directory.view(), "/srv");
    ASSERT_EQ(options.environment.size(), 1u);
    EXPECT_EQ(options.environment[0].view(), "A=B");
    EXPECT_EQ(arguments(options), (std::vector<std::string>{"/bin/sh", "-c", "echo hi"}));
    EXPECT_TRUE(log_lines.empty());
}

TEST(CommandLine, KeepsEmptyArguments) {
    EXPECT_EQ(arguments(parse("-- a  b ")), (std::vector<std::string>{"a", "", "b", ""}));
}

TEST(CommandLine, DefaultsAndNoProgram) {
    auto options = parse("");
    EXPECT_EQ(options.hostname.view(), "isounik");
    EXPECT_EQ(options.isolation.otherwise, process::Isolation::kAuto);
    EXPECT_TRUE(arguments(options).empty());
    EXPECT_TRUE(arguments(parse("log=warn --")).empty());
}

TEST(CommandLine, Isolation) {
    auto options = parse("isolation=mpk isolation-of=/bin/a%20b=ring3 isolation-of=/x=y=none");
    EXPECT_EQ(options.isolation.otherwise, process::Isolation::kMpk);
    ASSERT_EQ(options.isolation.of_paths.size(), 2u);
    EXPECT_EQ(options.isolation.of_paths[0].path.view(), "/bin/a b");
    EXPECT_EQ(options.isolation.of_paths[0].isolation, process::Isolation::kRing3);
    EXPECT_EQ(options.isolation.of_paths[1].path.view(), "/x=y");
    EXPECT_EQ(options.isolation.of_paths[1].isolation, process::Isolation::kNone);
    EXPECT_TRUE(log_lines.empty());
}

TEST(CommandLine, Addresses) {
    auto options = parse("ip=10.0.2.15/24 gw=10.0.2.2 dns=10.0.2.3 ip6=fec0::5054:ff/64");
    EXPECT_EQ(options.network.address, 0x0f02000au);
    EXPECT_EQ(options.network.netmask, 0x00ffffffu);
    EXPECT_EQ(options.network.gateway, 0x0202000au);
    const uint8_t expected[16] = {0xfe, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x54, 0x00, 0xff};
    EXPECT_EQ(std::memcmp(options.network.address6, expected, 16), 0);
    EXPECT_EQ(options.network.prefix6, 64u);
    EXPECT_TRUE(log_lines.empty());
}

TEST(CommandLine, MalformedValuesAreNamedAndIgnored) {
    for (const char* word : {"ip=10.0.2/24", "ip=10.0.2.15/33", "ip=10.0.2.256/24", "gw=1.2.3", "tsc_khz=x",
                             "isolation=ring1", "isolation-of=/bin/sh", "isolation-of=sh=mpk", "isolation-of=/bin/sh=strong",
                             "ip6=1:2:3/64", "ip6=::1::/64", "ip6=12345::/64", "cwd=relative",
                             "env=NOVALUE", "log=loud", "tty=2"}) {
        parse(word);
        ASSERT_EQ(log_lines.size(), 1u) << word;
        EXPECT_NE(log_lines[0].find(word), std::string::npos) << log_lines[0];
    }
}

TEST(CommandLine, UnknownKeysAreNamed) {
    parse("colour=red -- x");
    ASSERT_EQ(log_lines.size(), 1u);
    EXPECT_NE(log_lines[0].find("colour"), std::string::npos);
}

TEST(CommandLine, BrokenPercentEncodingIsTakenAsItIs) {
    EXPECT_EQ(arguments(parse("-- 100% %4 %zz %41")), (std::vector<std::string>{"100%", "%4", "%zz", "A"}));
}

TEST(CommandLine, EarlyOptionsStopAtTheProgram) {
    auto early = boot::parse_early("tsc_khz=1000000 log=info -- tsc_khz=5 log=error");
    EXPECT_EQ(early.tsc_khz, 1000000u);
    EXPECT_EQ(early.log_level, core::klog::Level::kInfo);
    EXPECT_TRUE(early.weaken.empty());
    EXPECT_EQ(boot::parse_early("weaken=kernel-key,ist-wipe -- weaken=x").weaken, "kernel-key,ist-wipe");
}

TEST(CommandLine, PlannedBugsHaveNames) {
    EXPECT_EQ(boot::parse("-- a")->test_bug, boot::TestBug::kNone);
    EXPECT_EQ(boot::parse("test_bug=lock-order -- a")->test_bug, boot::TestBug::kLockOrder);
    EXPECT_EQ(boot::parse("test_bug=stack-overflow")->test_bug, boot::TestBug::kStackOverflow);
    log_lines.clear();
    core::klog::set_sink(keep);
    EXPECT_EQ(boot::parse("test_bug=all")->test_bug, boot::TestBug::kNone);
    core::klog::set_sink(nullptr);
    EXPECT_EQ(log_lines.size(), 1u);
}

TEST(CommandLine, DefencesCannotBeSwitchedOffInAReleaseKernel) {
    log_lines.clear();
    core::klog::set_sink(keep);
    auto result = core::weaken("kernel-key");
    core::klog::set_sink(nullptr);
    ASSERT_FALSE(result);
    ASSERT_EQ(log_lines.size(), 1u);
    EXPECT_NE(log_lines[0].find("refused"), std::string::npos);
    static_assert(!core::weakened(core::Weakness::kKernelKey));
}

}  // namespace
