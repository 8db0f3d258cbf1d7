// Fills a file tree from a directory of the host.
#pragma once

#include <filesystem>

#include "image/tree.h"
#include "support/hash.h"

namespace tool {

/// Adds everything below `directory`, with owners, modes, times, hard links and devices as they are. For an ordinary
/// user, what he owns becomes root's: he could not have made it so himself. Contents are read only when the image is
/// written. Throws Failure if something cannot be read.
void add_directory(Tree& tree, const std::filesystem::path& directory);

/// Adds to `hash` what tells that the tree below `directory` has changed: names, sizes, owners, modes, times.
void hash_directory(ContentHash& hash, const std::filesystem::path& directory);

}  // namespace tool
