// `isounik test`: runs everything that tests something and counts.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cli/places.h"

namespace tool {

struct TestOptions {
    bool long_tests = false;
    std::vector<std::string> names;  // only drivers whose names contain one of these; empty: all
};

/// A folder below tests/ that holds an executable `run`, and perhaps an executable `build` (tests/README.md).
struct TestDriver {
    std::string name;  // the folder, relative to tests/
    std::filesystem::path folder;
};

/// All drivers: unit tests first, then by name.
std::vector<TestDriver> find_drivers(const std::filesystem::path& tests);

/// Runs the drivers and the recipes' own tests, shows results as they come, and ends with one line
/// "N passed, N failed". Returns 0 if none failed, else 1.
int run_tests(const TestOptions& options, const Places& places);

}  // namespace tool
