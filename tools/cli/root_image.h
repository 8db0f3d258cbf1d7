// From what the command line names to a boot image.
#pragma once

#include <filesystem>

#include "cli/places.h"
#include "cli/run_options.h"

namespace tool {

/// The boot image of a recipe or of --rootfs, with --packages added; from the cache if nothing has changed.
std::filesystem::path prepare_image(const RunOptions& options, const Places& places);

}  // namespace tool
