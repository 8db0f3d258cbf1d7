// Where things are: the source tree and its build folder.
#pragma once

#include <filesystem>

namespace tool {

struct Places {
    std::filesystem::path source;  // the repository
    std::filesystem::path build;

    std::filesystem::path kernel() const { return build / "kernel" / "isounik.elf"; }
    std::filesystem::path profiler() const { return build / "tools" / "isounik-profile.so"; }
    std::filesystem::path cache() const { return build / "cache"; }
    std::filesystem::path recipes() const { return source / "apps"; }

    /// From ISOUNIK_SOURCE and ISOUNIK_BUILD, which the launcher sets; else from where this program lies
    /// (<source>/build/tools/isounik-tool).
    static Places find();
};

}  // namespace tool
