// Writes a file tree as an EROFS image (docs/boot-protocol.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "image/tree.h"

namespace tool {

/// Where a regular file lies in an image.
struct ImageFile {
    uint64_t inode = 0;  // its number (nid)
    uint64_t offset = 0;
    uint64_t size = 0;
};

struct ImageSummary {
    uint64_t bytes = 0;
    uint64_t inodes = 0;
    std::vector<ImageFile> files;  // regular ones that are not empty
};

/// Writes `tree` to `path`. The same tree gives the same bytes. Regular files lie on whole blocks, so that the
/// kernel can map them in place; the rest of a file's last block is zero.
/// Throws Failure if a file of the host changed since it was read into the tree, or if `path` cannot be written;
/// the file at `path` is then incomplete.
ImageSummary write_erofs(const Tree& tree, const std::filesystem::path& path);

}  // namespace tool
