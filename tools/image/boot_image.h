// Boot images and their cache.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "image/tree.h"

namespace tool {

/// Images by the key of what went into them; a second request finds the file and makes nothing.
class ImageCache {
  public:
    explicit ImageCache(std::filesystem::path folder) : folder_(std::move(folder)) {}

    /// The image of `key`, with the table of its code behind it; if there is none, `make` fills the tree that is then
    /// written. A second tool that wants the same waits. The images used longest ago are removed.
    std::filesystem::path get(const std::string& key, const std::function<void(Tree&)>& make);

  private:
    void remove_old_images(const std::filesystem::path& keep);

    std::filesystem::path folder_;
};

/// Directories that the kernel or programs expect in every root (/dev, /proc, /sys, /tmp, /run), where missing.
void add_mount_points(Tree& tree);

/// Gives what the tool itself has made (time 0) the time of the newest other file, so that it looks neither ancient
/// nor different from one run to the next.
void date_new_nodes(Tree& tree);

}  // namespace tool
