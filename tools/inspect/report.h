// What `isounik inspect` says of the files of a root.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "image/tree.h"

namespace tool {

struct SiteReport {
    uint64_t offset = 0;
    std::string bytes, instruction, symbol;
    std::string kind;       // "protection fault", "relocated", ...
    std::string done_as;    // of relocated ones: "emulated", or the instruction that is executed instead
};

struct ResidualReport {
    uint64_t offset = 0;
    std::string bytes, sequence, symbol;
};

struct FileReport {
    std::string path;
    bool is_program = false;    // else a library
    bool isolatable = false;
    std::string reason;         // why not
    std::string model;          // what auto picks: "isolated" or "confined"; of a library, for whoever loads it
    std::string model_reason;   // of a program that is confined for another file's sake: that file
    uint64_t executable_bytes = 0, proven_bytes = 0;
    std::vector<SiteReport> sites;
    std::vector<ResidualReport> residuals;
};

/// Reports on one file's content; `model` follows from this file alone.
FileReport report_file(const std::string& path, std::string_view content);

/// Reports on every ELF file of a tree, each file once, in the order of paths. A program's model depends on its loader
/// and libraries too, looked for as the loader does.
std::vector<FileReport> report_tree(const Tree& tree);

std::string as_text(const std::vector<FileReport>& reports);
nlohmann::ordered_json as_json(const std::vector<FileReport>& reports);

}  // namespace tool
