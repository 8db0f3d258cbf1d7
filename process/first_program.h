// The first program of the machine (docs/boot-protocol.md).
#pragma once

#include <expected>
#include <span>
#include <string_view>

#include "process/process.h"

namespace process {

struct FirstProgram {
    std::span<const std::string_view> arguments;    // the first is the path, searched in PATH if it holds no '/'
    std::span<const std::string_view> environment;  // KEY=VALUE
    std::string_view working_directory = "/";
    fs::Path root;
    Ref<fs::FdTable> files;                         // descriptors 0, 1 and 2
};

// Why it does not run: 127 not found, 126 cannot be run, 125 the machine failed; logged already.
struct LaunchFailure {
    int exit_status;
    Errno error;
};

// Makes process 1, session and group 1, and starts it. Once, from a kernel thread.
std::expected<Ref<Process>, LaunchFailure> start_first_program(const FirstProgram& program);

}  // namespace process
