#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/run_options.h"
#include "machine/kernel_command_line.h"
#include "machine/port_forward.h"
#include "machine/qemu_command.h"
#include "support/failure.h"
#include "support/strings.h"

namespace tool {
namespace {

using ::testing::HasSubstr;

TEST(PercentEncode, KeepsPlainBytesOnly) {
    EXPECT_EQ(percent_encode("AZaz09._/:,=+@-"), "AZaz09._/:,=+@-");
    EXPECT_EQ(percent_encode("a b%c;\"\n"), "a%20b%25c%3B%22%0A");
    EXPECT_EQ(percent_encode("\xc3\xa4"), "%C3%A4");
    EXPECT_EQ(percent_encode(""), "");
}

TEST(KernelCommandLine, HasAllParts) {
    KernelOptions options;
    options.ip = "10.0.2.15/24";
    options.tty = true;
    options.environment = {"A=b c"};
    options.program = {"/bin/sh", "-c", "echo hi"};
    EXPECT_EQ(kernel_command_line(options),
              "log=warn isolation=auto ip=10.0.2.15/24 tty=1 env=A=b%20c -- /bin/sh -c echo%20hi");
    options.isolation_by_path = {{"/bin/x", "ring3"}};
    EXPECT_THAT(kernel_command_line(options), HasSubstr(" isolation-of=/bin/x=ring3 "));
}

TEST(KernelCommandLine, Limits) {
    KernelOptions options;
    EXPECT_THROW(kernel_command_line(options), Failure);
    options.program = {"/bin/echo", std::string(5000, 'x')};
    EXPECT_THROW(kernel_command_line(options), Failure);
}

TEST(PortForward, Forms) {
    EXPECT_EQ(parse_port_forward("8080:80"), (PortForward{"127.0.0.1", 8080, 80, Protocol::Tcp}));
    EXPECT_EQ(parse_port_forward("0.0.0.0:53:5353/udp"), (PortForward{"0.0.0.0", 53, 5353, Protocol::Udp}));
    EXPECT_EQ(parse_port_forward("0:80/tcp").host, 0);
    for (const char* bad : {"", "80", "a:b", "1:2:3", "8080:80/sctp", "70000:80", "80:0", "::1:80:80", "8080:80 ", "-1:80"})
        EXPECT_THROW(parse_port_forward(bad), Failure) << bad;
}

TEST(PortForward, SaysWhereToGo) {
    EXPECT_EQ(parse_port_forward("8080:80").describe(), "http://127.0.0.1:8080/");
    EXPECT_EQ(parse_port_forward("0.0.0.0:8080:80").describe(), "http://127.0.0.1:8080/");
    EXPECT_EQ(parse_port_forward("5432:5432").describe(), "127.0.0.1:5432 (guest port 5432)");
    EXPECT_EQ(parse_port_forward("1.2.3.4:8080:80").qemu_rule(), "tcp:1.2.3.4:8080-:80");
}

TEST(PortForward, ReservePicksFreePortsAndNoticesTakenOnes) {
    std::vector<PortForward> ports = {parse_port_forward("0:80"), parse_port_forward("0:81")};
    reserve_ports(ports);
    EXPECT_NE(ports[0].host, 0);
    EXPECT_NE(ports[0].host, ports[1].host);
    std::vector<PortForward> twice = {ports[0], ports[0]};
    EXPECT_THROW(reserve_ports(twice), Failure);
}

TEST(Memory, Forms) {
    EXPECT_EQ(parse_memory("64M"), 64u << 20);
    EXPECT_EQ(parse_memory("64"), 64u << 20);
    EXPECT_EQ(parse_memory("48MiB"), 48u << 20);
    EXPECT_EQ(parse_memory("2G"), 2ull << 30);
    for (const char* bad : {"", "M", "0", "64K", "-1M", "1.5G", "64MB"}) EXPECT_THROW(parse_memory(bad), Failure) << bad;
}

std::string command_text(const MachineConfig& config) { return join(qemu_command(config), " "); }

TEST(QemuCommand, PciMachinesAreModern) {
    MachineConfig config;
    config.channels = {{"isounik.control", 7}};
    config.serial_fd = 9;
    config.ports = {parse_port_forward("8080:80")};
    const std::string command = command_text(config);
    EXPECT_THAT(command, HasSubstr("-machine q35 "));
    EXPECT_THAT(command, HasSubstr("virtserialport,bus=channels.0,chardev=isounik.control,name=isounik.control"));
    EXPECT_THAT(command, HasSubstr("socket,id=isounik.control,fd=7"));
    EXPECT_THAT(command, HasSubstr("hostfwd=tcp:127.0.0.1:8080-:80"));
    EXPECT_THAT(command, HasSubstr("virtio-net-pci,netdev=net,disable-legacy=on"));
    EXPECT_THAT(command, HasSubstr("-no-reboot"));
    EXPECT_THAT(command, HasSubstr("-cpu max"));
}

TEST(QemuCommand, MicrovmUsesMmio) {
    MachineConfig config;
    config.type = MachineType::Microvm;
    const std::string command = command_text(config);
    EXPECT_THAT(command, HasSubstr("virtio-mmio.force-legacy=false"));
    EXPECT_THAT(command, HasSubstr("virtio-net-device"));
    EXPECT_EQ(command.find("-pci"), std::string::npos);
}

TEST(QemuCommand, CountingGdbAndExtraArguments) {
    MachineConfig config;
    config.icount = true;
    config.gdb_port = 1234;
    config.network = Network::None;
    config.acceleration = Acceleration::Kvm;
    config.extra_arguments = {"-cpu", "max,-erms"};
    const std::string command = command_text(config);
    EXPECT_THAT(command, HasSubstr("-accel tcg -icount shift=0,sleep=off"));
    EXPECT_THAT(command, HasSubstr("-gdb tcp:127.0.0.1:1234 -S"));
    EXPECT_EQ(command.find("-netdev"), std::string::npos);
    EXPECT_TRUE(command.ends_with("-cpu max,-erms")) << "what a person adds comes last and wins";
}

TEST(Strings, Helpers) {
    EXPECT_EQ(split("a,b,,c", ',').size(), 4u);
    EXPECT_EQ(split("a,", ',').size(), 2u);
    EXPECT_TRUE(split("", ',').empty());
    EXPECT_EQ(trim(" \tx y\n"), "x y");
    EXPECT_EQ(shell_quote("plain-word"), "plain-word");
    EXPECT_EQ(shell_quote("it's"), "'it'\\''s'");
    EXPECT_EQ(shell_quote(""), "''");
    EXPECT_TRUE(glob_match("/usr/share/doc/**", "/usr/share/doc/a/b"));
    EXPECT_FALSE(glob_match("/usr/share/doc/**", "/usr/share/doc"));
    EXPECT_TRUE(glob_match("/etc/cron*/**", "/etc/cron.daily/x"));
    EXPECT_FALSE(glob_match("/usr/*", "/usr/a/b"));
    EXPECT_TRUE(glob_match("/usr/?", "/usr/a"));
    EXPECT_FALSE(glob_match("/usr/?", "/usr/"));
}

}  // namespace
}  // namespace tool
