// Running other programs of the host.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace tool {

struct CommandResult {
    int status = 0;  // exit status; 128 + signal; 127 if there is no such program
    std::string output;
    std::string errors;
    bool ok() const { return status == 0; }
};

/// Runs a program to its end with stdin on /dev/null and collects both of its streams.
/// `folder`: its working directory; empty: the tool's.
CommandResult run_command_line(const std::vector<std::string>& command, const std::filesystem::path& folder = {});

}  // namespace tool
