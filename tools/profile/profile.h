// A profile of one run: from the options of QEMU to the pictures.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "image/tree.h"
#include "profile/sampler.h"
#include "support/files.h"

namespace tool {

enum class ProfileKind {
    Count,   // every instruction, by a plugin of QEMU: under TCG only, with all processors in one thread
    Sample,  // where the processors are, now and then: under KVM, too
};

class Profile {
  public:
    /// Throws Failure unless `picture` ends with .svg, can be written, and what the kind needs is there.
    Profile(std::filesystem::path picture, ProfileKind kind, std::filesystem::path plugin);

    /// What QEMU must be told.
    std::vector<std::string> qemu_arguments() const;
    /// To be called just before QEMU is started; `interval` is that between samples.
    void start(std::chrono::milliseconds interval);
    /// Once QEMU has ended: writes the flame graph, and beside it, with .txt for .svg, the table of functions.
    void write(const Tree& root, const std::filesystem::path& kernel, const std::string& title);

  private:
    std::filesystem::path picture_;
    ProfileKind kind_;
    std::filesystem::path plugin_;
    std::unique_ptr<TemporaryFolder> scratch_;
    std::unique_ptr<Sampler> sampler_;
};

}  // namespace tool
