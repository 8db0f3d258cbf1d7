// The QEMU command for one machine.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "machine/acceleration.h"
#include "machine/port_forward.h"

namespace tool {

enum class MachineType { Q35, Pc, Microvm };
enum class Network { User, None };

/// One named port of the virtio-serial device and the descriptor of QEMU's end of its socket.
struct Channel {
    std::string name;
    int fd = -1;
};

struct MachineConfig {
    std::filesystem::path kernel;
    std::filesystem::path image;
    std::string command_line;
    uint64_t memory_bytes = 64 << 20;
    unsigned cpus = 1;
    MachineType type = MachineType::Q35;
    Acceleration acceleration = Acceleration::Tcg;
    Network network = Network::User;
    std::vector<PortForward> ports;
    bool icount = false;
    int gdb_port = 0;           // 0: none; else QEMU listens there and the machine waits for gdb
    int serial_fd = -1;         // QEMU's end of the socket that carries the kernel's log
    std::vector<Channel> channels;
    std::vector<std::string> extra_arguments;
};

inline constexpr const char* kQemu = "qemu-system-x86_64";

/// argv, the program's name first. Descriptors in `config` must stay open until QEMU has started.
std::vector<std::string> qemu_command(const MachineConfig& config);

}  // namespace tool
