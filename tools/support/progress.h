// What the tool says while it works.
#pragma once

#include <cstdio>
#include <string>

namespace tool {

/// One line on stderr.
inline void progress(const std::string& line) { std::fprintf(stderr, "isounik: %s\n", line.c_str()); }

}  // namespace tool
