// The content of one Debian package.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "image/tree.h"

namespace tool {

/// An empty root with Debian's merged-/usr links (/bin -> usr/bin, and so on).
Tree merged_usr_root();

/// Adds the files of a .deb to `tree` with owners, modes, times and hard links as packaged, except those that match
/// a pattern of `exclude` (strings.h, glob_match). Throws Failure if the file is no Debian package.
void add_deb(Tree& tree, const std::filesystem::path& deb, const std::vector<std::string>& exclude = {});

}  // namespace tool
