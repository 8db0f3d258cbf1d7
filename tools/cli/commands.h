// The subcommands; each returns the exit status of the tool.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cli/places.h"
#include "cli/run_options.h"

namespace tool {

/// Boots a recipe, or a program in a directory tree.
int run_command(const RunOptions& options, const Places& places);

/// Makes the boot image and copies it to `output` (nothing is copied if empty); prints its path on stdout.
int image_command(const RunOptions& options, const std::filesystem::path& output, const Places& places);

/// Where QEMU waits for gdb with --gdb.
inline constexpr int kGdbPort = 1234;

/// Boots like `run --gdb` with all output in files, and gdb with the kernel's symbols in front of it.
/// `gdb_arguments` are passed on (for example -batch -ex bt).
int gdb_command(RunOptions options, const std::vector<std::string>& gdb_arguments, const Places& places);

enum class OutputForm { Text, Json };

/// Says of each ELF file of a recipe, a directory tree, or of one file, which model its code gets and why. On stdout.
int inspect_command(const std::string& what, OutputForm form, const Places& places);

/// Lists the recipes on stdout.
int recipes_command(const Places& places);

}  // namespace tool
