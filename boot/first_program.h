// From a machine with devices to its first program: root file system, standard streams, network, exec.
#pragma once

#include <cstddef>
#include <span>

#include "boot/command_line.h"

namespace boot {

// Mounts the boot image, starts the network and the first program. What cannot be done is logged and reported as
// the program's exit status (126, 127) or ends the machine (125).
void start_first_program(Options& options, std::span<const std::byte> image);

}  // namespace boot
