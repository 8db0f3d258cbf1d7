// The command line of the kernel (docs/boot-protocol.md).
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tool {

/// Every byte outside [A-Za-z0-9._/:,=+@-] as %XX.
std::string percent_encode(std::string_view text);

struct KernelOptions {
    std::string log = "warn";
    std::string isolation = "auto";
    std::vector<std::pair<std::string, std::string>> isolation_by_path;  // path, isolation
    std::string ip;   // "dhcp", ADDRESS/PREFIX, or empty: loopback only
    std::string gateway;
    std::string dns;
    std::string hostname;
    unsigned tsc_khz = 0;  // 0: the kernel measures
    bool tty = false;
    std::vector<std::string> environment;  // KEY=VALUE
    std::string working_directory;
    std::string trace;
    std::vector<std::string> extra;  // KEY=VALUE of docs/boot-protocol.md, as given
    std::vector<std::string> program;  // argv
};

/// Longest line that QEMU's PVH loader and every kernel here accept.
inline constexpr size_t kMaxCommandLine = 4096;

/// Throws Failure if the line would be too long, or if `program` is empty.
std::string kernel_command_line(const KernelOptions& options);

}  // namespace tool
