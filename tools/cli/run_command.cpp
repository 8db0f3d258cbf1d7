#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "cli/commands.h"
#include "cli/preflight.h"
#include "cli/root_image.h"
#include "image/erofs_reader.h"
#include "machine/acceleration.h"
#include "machine/kernel_command_line.h"
#include "machine/machine_run.h"
#include "profile/profile.h"
#include "support/failure.h"
#include "support/files.h"
#include "support/strings.h"

namespace tool {

namespace {

constexpr const char* kDefaultMemory = "256M";
constexpr unsigned kMaxCpus = 64;
constexpr int kProgramNotFound = 127;
constexpr unsigned kIcountTscKhz = 1'000'000;  // -icount shift=0: one instruction takes one nanosecond

MachineType machine_type(const std::string& name) {
    if (name == "pc") return MachineType::Pc;
    if (name == "microvm") return MachineType::Microvm;
    return MachineType::Q35;
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

KernelOptions kernel_options(const RunOptions& options, const std::optional<Recipe>& recipe) {
    KernelOptions kernel;
    if (recipe) {
        kernel.program = recipe->command;
        kernel.environment = recipe->environment;
        kernel.working_directory = recipe->working_directory;
        kernel.isolation = recipe->isolation;
        kernel.isolation_by_path = recipe->isolation_by_path;
        kernel.hostname = recipe->hostname;
    }
    if (!options.program.empty()) kernel.program = options.program;
    if (kernel.program.empty()) throw Failure("no program to start", "put it after --, for example -- /bin/sh");
    for (const std::string& variable : options.environment) {
        if (variable.find('=') == std::string::npos || variable.starts_with('='))
            throw Failure("'" + variable + "' is not an environment variable", "write -e KEY=VALUE");
        const std::string name = variable.substr(0, variable.find('=') + 1);
        std::erase_if(kernel.environment, [&](const std::string& old) { return old.starts_with(name); });
        kernel.environment.push_back(variable);
    }
    if (!options.working_directory.empty()) kernel.working_directory = options.working_directory;
    if (options.isolation) kernel.isolation = *options.isolation;
    kernel.tty = options.terminal;
    kernel.trace = options.trace;
    kernel.extra = options.kernel_options;
    const bool verbose = !options.log_file.empty() || !options.trace.empty();
    kernel.log = !options.log_level.empty() ? options.log_level
                 : verbose                  ? "info"
                 : options.quiet            ? "error"
                                            : "warn";
    return kernel;
}

/// The recipe's ports, except those whose port of the guest the command line forwards.
std::vector<PortForward> port_forwards(const RunOptions& options, const std::optional<Recipe>& recipe) {
    std::vector<PortForward> ports;
    for (const std::string& port : options.ports) ports.push_back(parse_port_forward(port));
    if (!recipe) return ports;
    const size_t given = ports.size();
    for (const std::string& text : recipe->ports) {
        PortForward port = parse_port_forward(text);
        bool replaced = std::any_of(ports.begin(), ports.begin() + static_cast<long>(given), [&](const PortForward& p) {
            return p.guest == port.guest && p.protocol == port.protocol;
        });
        if (!replaced) ports.push_back(std::move(port));
    }
    return ports;
}

MachineRun machine_options(const RunOptions& options, const std::optional<Recipe>& recipe, const Places& places) {
    MachineRun run;
    MachineConfig& machine = run.machine;
    machine.kernel = options.kernel.empty() ? places.kernel() : fs::path(options.kernel);
    if (!fs::exists(machine.kernel))
        throw Failure("there is no kernel at " + machine.kernel.string(), "build it: ./isounik build");
    machine.memory_bytes = parse_memory(options.memory.value_or(recipe ? recipe->memory : kDefaultMemory));
    machine.cpus = options.icount ? 1 : options.cpus.value_or(recipe ? recipe->cpus : 1);
    if (options.icount && options.cpus.value_or(1) != 1)
        throw Failure("--icount works with one processor only", "use --cpus 1, or leave it out");
    if (machine.cpus < 1 || machine.cpus > kMaxCpus)
        throw Failure("a machine has 1 to " + std::to_string(kMaxCpus) + " processors", "for example --cpus 2");
    machine.type = machine_type(options.machine);
    machine.network = options.network == "none" ? Network::None : Network::User;
    if (machine.network == Network::None && !options.ports.empty())
        throw Failure("-p needs a network", "leave --network none out");
    if (machine.network == Network::User) machine.ports = port_forwards(options, recipe);
    machine.icount = options.icount;
    machine.extra_arguments = options.qemu_arguments;
    machine.gdb_port = options.gdb ? kGdbPort : 0;
    run.terminal = options.terminal;
    run.log_file = options.log_file;
    run.dry_run = options.dry_run;
    return run;
}

/// The profile that the options ask for, and what it needs of the machine.
std::optional<Profile> make_profile(const RunOptions& options, MachineConfig& machine, const Places& places) {
    if (options.profile.empty()) {
        if (options.profile_every_ms) throw Failure("--profile-every is about a profile", "add --profile FILE.svg");
        return std::nullopt;
    }
    const bool samples = options.profile_every_ms || machine.acceleration == Acceleration::Kvm;
    if (samples && options.gdb) throw Failure("samples are taken through gdb's port", "leave --gdb or --profile out");
    std::optional<Profile> profile;
    profile.emplace(options.profile, samples ? ProfileKind::Sample : ProfileKind::Count, places.profiler());
    if (!samples) machine.acceleration = Acceleration::TcgOneThread;
    const std::vector<std::string> arguments = profile->qemu_arguments();
    machine.extra_arguments.insert(machine.extra_arguments.end(), arguments.begin(), arguments.end());
    return profile;
}

}  // namespace

int run_command(const RunOptions& options, const Places& places) {
    const std::optional<Recipe> recipe = chosen_recipe(options, places);
    KernelOptions kernel = kernel_options(options, recipe);
    MachineRun run = machine_options(options, recipe, places);
    MachineConfig& machine = run.machine;
    if (options.icount) kernel.tsc_khz = kIcountTscKhz;

    machine.image = prepare_image(options, recipe, places);
    const Tree root = read_erofs(machine.image);
    if (check_program(root, kernel.program[0], kernel.environment) == ProgramCheck::NotFound) {
        std::fprintf(stderr, "isounik: there is no program %s in the root\n", kernel.program[0].c_str());
        return kProgramNotFound;
    }
    check_memory(fs::file_size(machine.image), machine.memory_bytes);

    if (!options.icount) {
        AccelerationChoice choice = choose_acceleration(options.acceleration);
        machine.acceleration = choice.kind;
        say(options, choice.kind == Acceleration::Kvm ? "running on KVM: " + choice.reason
                                                      : "running on TCG (emulation): " + choice.reason);
    }
    std::optional<Profile> profile = make_profile(options, machine, places);
    if (!options.dry_run) reserve_ports(machine.ports);
    set_network(kernel, machine.network);
    machine.command_line = kernel_command_line(kernel);
    for (const PortForward& port : machine.ports)
        if (!options.quiet) run.ready_lines.push_back("isounik: listening on " + port.describe());
    if (options.gdb)
        say(options, "waiting for gdb: gdb " + machine.kernel.string() + " -ex 'target remote 127.0.0.1:" +
                         std::to_string(kGdbPort) + "'");
    const fs::path used_kernel = machine.kernel;
    if (profile && !options.dry_run) profile->start(std::chrono::milliseconds(options.profile_every_ms.value_or(2)));
    const int status = run_machine(std::move(run));
    if (profile && !options.dry_run) profile->write(root, used_kernel, join(kernel.program, " "));
    return status;
}

int image_command(const RunOptions& options, const std::filesystem::path& output, const Places& places) {
    fs::path image = prepare_image(options, chosen_recipe(options, places), places);
    if (!output.empty()) {
        fs::copy_file(image, output, fs::copy_options::overwrite_existing);
        image = output;
    }
    std::printf("%s\n", image.c_str());
    return 0;
}

int recipes_command(const Places& places) {
    for (const std::string& name : recipe_names(places.recipes()))
        std::printf("%-12s %s\n", name.c_str(), load_recipe(name, places.recipes()).description.c_str());
    return 0;
}

}  // namespace tool
