// Running other programs of the host.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

namespace tool {

struct CommandResult {
    int status = 0;  // exit status; 128 + signal; 127 if there is no such program
    bool timed_out = false;
    std::string output;
    std::string errors;
    bool ok() const { return status == 0; }
};

struct CommandOptions {
    std::filesystem::path folder;  // its working directory; empty: the tool's
    std::string input;             // its standard input (a file, so that it may be long and need not be read)
    std::chrono::milliseconds time_limit{0};  // then it is killed; 0: none
};

/// Runs a program to its end and collects both of its streams.
CommandResult run_command_line(const std::vector<std::string>& command, const CommandOptions& options = {});

}  // namespace tool
