#include <unistd.h>

#include <cstdio>

#include "cli/commands.h"
#include "cli/preflight.h"
#include "cli/root_image.h"
#include "image/erofs_reader.h"
#include "machine/acceleration.h"
#include "machine/kernel_command_line.h"
#include "machine/machine_run.h"
#include "support/failure.h"
#include "support/files.h"

namespace tool {

namespace {

constexpr uint64_t kDefaultMemory = 256 << 20;
constexpr int kGdbPort = 1234;
constexpr unsigned kIcountTscKhz = 1'000'000;  // -icount shift=0: one instruction takes one nanosecond

MachineType machine_type(const std::string& name) {
    if (name == "pc") return MachineType::Pc;
    if (name == "microvm") return MachineType::Microvm;
    return MachineType::Q35;
}

void check_isolation(const std::string& isolation) {
    if (isolation == "mpk")
        throw Failure("isolation by memory protection keys is not built yet", "use --isolation ring3, or leave it out");
    if (isolation == "none")
        std::fprintf(stderr, "isounik: WARNING: --isolation none: nothing keeps programs from the kernel's memory\n");
}

void say(const RunOptions& options, const std::string& line) {
    if (!options.quiet) std::fprintf(stderr, "isounik: %s\n", line.c_str());
}

/// What the machine is told about its network: QEMU's user network (10.0.2.0/24) always looks the same.
void set_network(KernelOptions& kernel, Network network) {
    if (network != Network::User) return;
    kernel.ip = "10.0.2.15/24";
    kernel.gateway = "10.0.2.2";
    kernel.dns = "10.0.2.3";
}

}  // namespace

int run_command(const RunOptions& options, const Places& places) {
    KernelOptions kernel;
    kernel.program = options.program;
    kernel.environment = options.environment;
    kernel.working_directory = options.working_directory;
    kernel.tty = options.terminal;
    kernel.trace = options.trace;
    kernel.isolation = options.isolation.value_or("auto");
    kernel.log = !options.log_level.empty()                                ? options.log_level
                 : !options.log_file.empty() || !options.trace.empty() ? "info"
                                                                          : "warn";
    check_isolation(kernel.isolation);

    MachineRun run;
    MachineConfig& machine = run.machine;
    machine.kernel = options.kernel.empty() ? places.kernel() : fs::path(options.kernel);
    if (!fs::exists(machine.kernel))
        throw Failure("there is no kernel at " + machine.kernel.string(), "build it: ./isounik build");
    machine.memory_bytes = options.memory ? parse_memory(*options.memory) : kDefaultMemory;
    machine.cpus = options.cpus.value_or(1);
    machine.type = machine_type(options.machine);
    machine.network = options.network == "none" ? Network::None : Network::User;
    machine.icount = options.icount;
    machine.extra_arguments = options.qemu_arguments;
    machine.gdb_port = options.gdb ? kGdbPort : 0;
    if (options.icount) {
        if (machine.cpus > 1 && options.cpus) throw Failure("--icount works with one processor only", "use --cpus 1");
        machine.cpus = 1;
        kernel.tsc_khz = kIcountTscKhz;
    }
    for (const std::string& port : options.ports) machine.ports.push_back(parse_port_forward(port));
    if (machine.network == Network::None && !machine.ports.empty())
        throw Failure("-p needs a network", "leave --network none out");

    machine.image = prepare_image(options, places);
    const Tree root = read_erofs(machine.image);
    if (kernel.program.empty()) throw Failure("no program to start", "put it after --, for example -- /bin/sh");
    if (check_program(root, kernel.program[0], kernel.environment) == ProgramCheck::NotFound) {
        std::fprintf(stderr, "isounik: there is no program %s in the root\n", kernel.program[0].c_str());
        return 127;
    }
    check_memory(fs::file_size(machine.image), machine.memory_bytes);

    if (options.icount) {
        machine.acceleration = Acceleration::Tcg;
    } else {
        AccelerationChoice choice = choose_acceleration(options.acceleration);
        machine.acceleration = choice.kind;
        say(options, choice.kind == Acceleration::Kvm ? "running on KVM: " + choice.reason
                                                      : "running on TCG (emulation): " + choice.reason);
    }
    if (!options.dry_run) reserve_ports(machine.ports);
    set_network(kernel, machine.network);
    machine.command_line = kernel_command_line(kernel);
    for (const PortForward& port : machine.ports)
        if (!options.quiet) run.ready_lines.push_back("isounik: listening on " + port.describe());
    if (options.gdb) say(options, "waiting for gdb: gdb " + machine.kernel.string() + " -ex 'target remote :1234'");
    run.terminal = options.terminal;
    run.log_file = options.log_file;
    run.dry_run = options.dry_run;
    return run_machine(std::move(run));
}

int image_command(const RunOptions& options, const std::filesystem::path& output, const Places& places) {
    fs::path image = prepare_image(options, places);
    if (!output.empty()) {
        fs::copy_file(image, output, fs::copy_options::overwrite_existing);
        image = output;
    }
    std::printf("%s\n", image.c_str());
    return 0;
}

}  // namespace tool
