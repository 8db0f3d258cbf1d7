// One run of a machine, from its channels to its exit status.
#pragma once

#include <string>
#include <vector>

#include "machine/qemu_command.h"

namespace tool {

struct MachineRun {
    MachineConfig machine;     // without channels and serial port: run_machine adds them
    bool terminal = false;
    std::string log_file;      // empty: the kernel's log goes to stderr
    std::vector<std::string> ready_lines;
    bool dry_run = false;
};

/// Runs the machine to its end, relays its streams and returns the exit status for the tool: the first program's,
/// or kToolFailed if the machine failed. With dry_run only prints the command on stdout.
int run_machine(MachineRun run);

}  // namespace tool
