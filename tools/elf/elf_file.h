// What the tool wants to know about an ELF file: its loader, its libraries, where they may lie.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tool {

struct ElfFile {
    bool is_executable = false;  // ET_EXEC, or ET_DYN with a program interpreter or without a soname
    std::string interpreter;     // PT_INTERP; empty if static
    std::string soname;
    std::vector<std::string> needed;        // DT_NEEDED, in order
    std::vector<std::string> search_paths;  // DT_RPATH and DT_RUNPATH, $ORIGIN not yet replaced

    bool is_dynamic() const { return !interpreter.empty() || !needed.empty(); }
};

/// nullopt if these bytes are not an x86-64 ELF file or are damaged.
std::optional<ElfFile> parse_elf(std::string_view bytes);

}  // namespace tool
