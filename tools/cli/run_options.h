// The options of `isounik run`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "machine/port_forward.h"
#include "machine/qemu_command.h"

namespace CLI {
class App;
}

namespace tool {

struct RunOptions {
    std::string recipe;                 // name or folder; empty with --rootfs
    std::string rootfs;
    std::vector<std::string> packages;
    std::vector<std::string> program;   // what stands after --
    std::vector<std::string> ports;
    std::optional<std::string> memory;
    std::optional<unsigned> cpus;
    std::vector<std::string> environment;
    std::string working_directory;
    bool terminal = false;
    std::optional<std::string> isolation;
    std::string acceleration = "auto";
    std::string machine = "q35";
    std::string network = "user";
    bool icount = false;
    bool gdb = false;
    std::string profile;
    std::optional<unsigned> profile_every_ms;
    std::string log_file;
    std::string log_level;
    std::string trace;
    std::vector<std::string> kernel_options;
    std::string kernel;
    std::vector<std::string> qemu_arguments;
    bool dry_run = false;
    bool quiet = false;
    bool update = false;
};

/// Options that say what is in the root: RECIPE, --rootfs, --packages, --update.
void add_root_options(CLI::App& app, RunOptions& options);
/// All options of `run`, with an example each.
void add_run_options(CLI::App& app, RunOptions& options);

/// "64M", "1G", or a number of MiB. Throws Failure that shows the form.
uint64_t parse_memory(std::string_view text);

}  // namespace tool
