// From what the command line names to a boot image.
#pragma once

#include <filesystem>
#include <optional>

#include "cli/places.h"
#include "cli/run_options.h"
#include "recipe/recipe.h"

namespace tool {

/// The recipe that the options name; none with --rootfs. Throws Failure if they name neither or both.
std::optional<Recipe> chosen_recipe(const RunOptions& options, const Places& places);

/// The boot image of the recipe, or of --rootfs, with --packages added; from the cache if nothing has changed.
/// Beside the image, NAME.json lists the packages that went in.
std::filesystem::path prepare_image(const RunOptions& options, const std::optional<Recipe>& recipe,
                                    const Places& places);

}  // namespace tool
