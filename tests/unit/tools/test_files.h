// A scratch folder and small helpers for the tests of the tool.
#pragma once

#include <string>

#include "support/command.h"
#include "support/files.h"

namespace tool::testing {

/// A fresh folder, gone after the test.
class Scratch {
  public:
    Scratch() : folder_(fs::temp_directory_path()) {}
    const fs::path& path() const { return folder_.path(); }
    fs::path operator/(const std::string& name) const { return folder_.path() / name; }

  private:
    TemporaryFolder folder_;
};

/// Whether the host has this program: some tests check their results with tools that may be missing.
inline bool has_program(const std::string& name) {
    return run_command_line({"sh", "-c", "command -v " + name}).ok();
}

}  // namespace tool::testing
