#include "machine/kernel_command_line.h"

#include "support/failure.h"

namespace tool {

std::string percent_encode(std::string_view text) {
    constexpr std::string_view kPlain =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/:,=+@-";
    constexpr char kDigits[] = "0123456789ABCDEF";
    std::string encoded;
    for (unsigned char byte : text) {
        if (kPlain.find(static_cast<char>(byte)) != std::string_view::npos) {
            encoded += static_cast<char>(byte);
        } else {
            encoded += '%';
            encoded += kDigits[byte >> 4];
            encoded += kDigits[byte & 15];
        }
    }
    return encoded;
}

std::string kernel_command_line(const KernelOptions& options) {
    if (options.program.empty()) throw Failure("no program to start", "put it after --, or name a recipe");
    std::string line;
    auto add = [&line](std::string_view key, std::string_view value) {
        if (!line.empty()) line += ' ';
        line.append(key).append("=").append(percent_encode(value));
    };
    auto add_unless_empty = [&](std::string_view key, std::string_view value) {
        if (!value.empty()) add(key, value);
    };
    add("log", options.log);
    add("isolation", options.isolation);
    for (const auto& [path, isolation] : options.isolation_by_path) add("isolation-of", path + '=' + isolation);
    add_unless_empty("ip", options.ip);
    add_unless_empty("gw", options.gateway);
    add_unless_empty("dns", options.dns);
    add_unless_empty("hostname", options.hostname);
    if (options.tsc_khz) add("tsc_khz", std::to_string(options.tsc_khz));
    if (options.tty) add("tty", "1");
    add_unless_empty("cwd", options.working_directory);
    add_unless_empty("trace", options.trace);
    for (const std::string& option : options.extra) {
        size_t equals = option.find('=');
        if (equals == std::string::npos || equals == 0)
            throw Failure("\"" + option + "\" is no option of the kernel", "give KEY=VALUE, as in docs/boot-protocol.md");
        add(option.substr(0, equals), option.substr(equals + 1));
    }
    for (const std::string& variable : options.environment) add("env", variable);
    line += " --";
    for (const std::string& word : options.program) line += ' ' + percent_encode(word);
    if (line.size() >= kMaxCommandLine)
        throw Failure("the program's arguments and environment are too long for the kernel's command line (" +
                          std::to_string(line.size()) + " of " + std::to_string(kMaxCommandLine) + " bytes)",
                      "put them into a script in the root and start that");
    return line;
}

}  // namespace tool
