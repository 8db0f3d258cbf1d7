// A profile of one run: from the options of QEMU to the pictures.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "image/tree.h"
#include "support/files.h"

namespace tool {

class Profile {
  public:
    /// Throws Failure unless `picture` ends with .svg, can be written, and `plugin` is there.
    Profile(std::filesystem::path picture, std::filesystem::path plugin);

    /// What QEMU must be told. Counts are exact under TCG, with all processors in one thread.
    std::vector<std::string> qemu_arguments() const;

    /// Once QEMU has ended: writes the flame graph, and beside it, with .txt for .svg, the table of functions.
    void write(const Tree& root, const std::filesystem::path& kernel, const std::string& title) const;

  private:
    std::filesystem::path picture_;
    std::filesystem::path plugin_;
    std::unique_ptr<TemporaryFolder> scratch_;
};

}  // namespace tool
