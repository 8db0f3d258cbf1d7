// The libraries that programs need, looked for as the loader of the guest will.
#pragma once

#include <string>
#include <vector>

#include "image/tree.h"

namespace tool {

enum class MissingKind { Library, Loader, ScriptInterpreter };

struct MissingLibrary {
    std::string name;       // a soname, or the path of a loader or interpreter
    std::string needed_by;  // path of the file that asks for it
    MissingKind kind = MissingKind::Library;
};

struct LibraryClosure {
    std::vector<std::string> files;  // the paths themselves, their loaders and libraries: canonical, each once
    std::vector<MissingLibrary> missing;
};

/// Everything that `paths` and the libraries they lead to ask for, found and missing. See find_missing_libraries().
LibraryClosure library_closure(const Tree& tree, const std::vector<std::string>& paths);

/// Everything that `paths` and the libraries they lead to ask for and that the tree does not hold, each name once,
/// in the order of discovery. Paths that are not dynamic ELF files ask for nothing. If a path is a script (`#!`),
/// its interpreter counts as part of `paths`.
std::vector<MissingLibrary> find_missing_libraries(const Tree& tree, const std::vector<std::string>& paths);

/// Where the loader finds a library, or empty: the search paths of the file that asks, then ld.so's own folders on
/// Debian, then those of other systems.
std::string find_library(const Tree& tree, const std::string& name, const std::vector<std::string>& search_paths,
                         const std::string& origin);

}  // namespace tool
