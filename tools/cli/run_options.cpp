#include "cli/run_options.h"

#include <CLI/CLI.hpp>
#include <charconv>

#include "support/failure.h"

namespace tool {

void add_root_options(CLI::App& app, RunOptions& options) {
    app.add_option("RECIPE", options.recipe,
                   "A recipe: a name in apps/, or a folder that holds a recipe.toml. Example: isounik run nginx");
    app.add_option("--rootfs", options.rootfs,
                   "Take the root from a directory tree; the program stands after --.\n"
                   "Example: --rootfs ./root -- /bin/hello world")
        ->type_name("DIR");
    app.add_option("--packages", options.packages,
                   "Add Debian packages with all their dependencies to the root. Example: --packages bash,procps")
        ->type_name("A,B")
        ->delimiter(',')
        ->allow_extra_args(false);
    app.add_flag("--update", options.update,
                 "Look for newer packages instead of taking those of the last time. Example: isounik run --update nginx");
}

void add_run_options(CLI::App& app, RunOptions& options) {
    add_root_options(app, options);
    app.add_option("-p,--publish", options.ports,
                   "Forward a port of the host, on loopback unless an address is given; port 0 is any free one.\n"
                   "Repeatable. Example: -p 8080:80 -p 0.0.0.0:5353:53/udp")
        ->type_name("[ADDR:]HOST:GUEST[/udp]")
        ->allow_extra_args(false);
    app.add_option("-m,--memory", options.memory, "Memory of the machine. Example: -m 64M")->type_name("SIZE");
    app.add_option("--cpus", options.cpus, "Number of processors. Example: --cpus 2")->type_name("N");
    app.add_option("-e,--env", options.environment,
                   "Set an environment variable of the first program. Repeatable. Example: -e LANG=C.UTF-8")
        ->type_name("KEY=VALUE")
        ->allow_extra_args(false);
    app.add_option("-w,--workdir", options.working_directory,
                   "Working directory of the first program. Example: -w /srv")
        ->type_name("PATH");
    app.add_flag("-t,--tty", options.terminal,
                 "Give the first program a terminal; Ctrl-] twice stops the machine. Example: isounik run -t shell");
    app.add_option("--isolation", options.isolation,
                   "Between program and kernel: auto, mpk, ring3 or none. Example: --isolation ring3")
        ->check(CLI::IsMember({"auto", "mpk", "ring3", "none"}))
        ->type_name("MODEL");
    app.add_option("--accel", options.acceleration,
                   "How the processor runs: auto, kvm or tcg (emulation). Example: --accel tcg")
        ->check(CLI::IsMember({"auto", "kvm", "tcg"}))
        ->type_name("KIND");
    app.add_option("--machine", options.machine, "QEMU's machine: q35, pc or microvm. Example: --machine microvm")
        ->check(CLI::IsMember({"q35", "pc", "microvm"}))
        ->type_name("TYPE");
    app.add_option("--network", options.network,
                   "user (through the host, for -p) or none. Example: --network none")
        ->check(CLI::IsMember({"user", "none"}))
        ->type_name("KIND");
    app.add_flag("--icount", options.icount,
                 "Count instructions: one processor, and time advances by one nanosecond per instruction.\n"
                 "Example: isounik run --icount shell -- true");
    app.add_flag("--gdb", options.gdb,
                 "Wait for gdb before the first instruction; `isounik gdb` starts both. Example: isounik run --gdb nginx");
    app.add_option("--profile", options.profile,
                   "Count each function's instructions under emulation; write a flame graph, and a table beside it. On KVM: samples.\n"
                   "Example: isounik run --profile nginx.svg nginx")
        ->type_name("FILE.svg");
    app.add_option("--profile-every", options.profile_every_ms,
                   "Look where the processors are every so many milliseconds instead of counting; on KVM that is the only\n"
                   "way (every 2 ms). Example: isounik run --profile nginx.svg --profile-every 5 nginx")
        ->check(CLI::Range(1, 1000))
        ->type_name("MS");
    app.add_option("--log", options.log_file,
                   "Write the kernel's log to a file instead of stderr. Example: --log kernel.log")
        ->type_name("FILE");
    app.add_option("--log-level", options.log_level,
                   "Least severe record in the kernel's log: error, warn, info or debug (warn; with --log info, with -q error).\n"
                   "Example: --log-level debug")
        ->check(CLI::IsMember({"error", "warn", "info", "debug"}))
        ->type_name("LEVEL");
    app.add_option("--trace", options.trace,
                   "syscalls: log each system call with its arguments and result. Example: --trace syscalls --log trace")
        ->check(CLI::IsMember({"syscalls"}))
        ->type_name("WHAT");
    app.add_option("--kernel", options.kernel, "Boot another kernel. Example: --kernel build/other/isounik.elf")
        ->type_name("FILE");
    app.add_option("--kernel-option", options.kernel_options,
                   "Give the kernel an option of docs/boot-protocol.md. Repeatable.\n"
                   "Example: --kernel-option probe=isolated")
        ->allow_extra_args(false)
        ->type_name("KEY=VALUE");
    app.add_option("--qemu-arg", options.qemu_arguments,
                   "Pass an argument to QEMU as it is, after all others. Repeatable.\n"
                   "Example: --qemu-arg -cpu --qemu-arg max,-erms")
        ->type_name("ARG")
        ->allow_extra_args(false);
    app.add_flag("--dry-run", options.dry_run,
                 "Print the QEMU command and start nothing. Example: isounik run --dry-run nginx");
    app.add_flag("-q,--quiet", options.quiet,
                 "Say nothing about the machine on stderr, and of the kernel's log only errors.\n"
                 "Example: isounik run -q shell -- ls");
}

uint64_t parse_memory(std::string_view text) {
    uint64_t number = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    std::string_view suffix(end, static_cast<size_t>(text.data() + text.size() - end));
    if (suffix.ends_with("iB")) suffix.remove_suffix(2);
    unsigned shift = 0;
    if (suffix.empty() || suffix == "M" || suffix == "m") {
        shift = 20;
    } else if (suffix == "G" || suffix == "g") {
        shift = 30;
    }
    if (error != std::errc() || shift == 0 || number == 0 || number > (uint64_t{1} << 24))
        throw Failure("'" + std::string(text) + "' is not an amount of memory", "write for example 64M or 1G");
    return number << shift;
}

}  // namespace tool
