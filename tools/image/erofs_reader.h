// Reads a boot image back into a file tree.
#pragma once

#include <filesystem>

#include "image/tree.h"

namespace tool {

/// Only what write_erofs writes; throws Failure for anything else and for damaged images. The contents of regular
/// files stay in the image and are read on demand.
Tree read_erofs(const std::filesystem::path& path);

}  // namespace tool
