#include "machine/qemu_command.h"

namespace tool {

namespace {

/// In the arguments of QEMU's options a comma within a value is doubled.
std::string escape_commas(const std::string& value) {
    std::string escaped;
    for (char c : value) {
        escaped += c;
        if (c == ',') escaped += ',';
    }
    return escaped;
}

std::string machine_argument(const MachineConfig& config) {
    switch (config.type) {
        case MachineType::Q35: return "q35";
        case MachineType::Pc: return "pc";
        // Without the option QEMU appends words to the kernel's command line, where they would be program arguments.
        case MachineType::Microvm: return "microvm,auto-kernel-cmdline=off";
    }
    return "q35";
}

}  // namespace

std::vector<std::string> qemu_command(const MachineConfig& config) {
    std::vector<std::string> command = {kQemu};
    auto add = [&command](std::initializer_list<std::string> words) {
        command.insert(command.end(), words.begin(), words.end());
    };
    const bool mmio = config.type == MachineType::Microvm;
    const std::string bus = mmio ? "-device" : "-pci";
    // virtio 1.x only: the drivers speak nothing older.
    const std::string modern = mmio ? "" : ",disable-legacy=on,disable-modern=off";

    add({"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"});
    add({"-machine", machine_argument(config)});
    if (mmio) add({"-global", "virtio-mmio.force-legacy=false"});
    if (config.icount) {
        add({"-accel", "tcg", "-icount", "shift=0,sleep=off", "-cpu", "max"});
    } else if (config.acceleration == Acceleration::Kvm) {
        add({"-accel", "kvm", "-cpu", "host"});
    } else if (config.acceleration == Acceleration::TcgOneThread) {
        add({"-accel", "tcg,thread=single", "-cpu", "max"});
    } else {
        add({"-accel", "tcg,thread=multi", "-cpu", "max"});
    }
    add({"-smp", std::to_string(config.cpus)});
    add({"-m", std::to_string(config.memory_bytes >> 20)});
    add({"-kernel", config.kernel.string(), "-initrd", config.image.string(), "-append", config.command_line});

    if (config.serial_fd >= 0)
        add({"-chardev", "socket,id=log,fd=" + std::to_string(config.serial_fd), "-serial", "chardev:log"});
    add({"-device", "virtio-rng" + bus + modern});
    if (!config.channels.empty()) {
        add({"-device", "virtio-serial" + bus + ",id=channels" + modern});
        for (const Channel& channel : config.channels) {
            add({"-chardev", "socket,id=" + channel.name + ",fd=" + std::to_string(channel.fd)});
            add({"-device", "virtserialport,bus=channels.0,chardev=" + channel.name + ",name=" + channel.name});
        }
    }
    if (config.network == Network::User) {
        std::string netdev = "user,id=net,ipv6=off";
        for (const PortForward& port : config.ports) netdev += ",hostfwd=" + escape_commas(port.qemu_rule());
        add({"-netdev", netdev, "-device", "virtio-net" + bus + ",netdev=net" + modern + (mmio ? "" : ",romfile=")});
    }
    if (config.gdb_port) add({"-gdb", "tcp:127.0.0.1:" + std::to_string(config.gdb_port), "-S"});
    command.insert(command.end(), config.extra_arguments.begin(), config.extra_arguments.end());
    return command;
}

}  // namespace tool
