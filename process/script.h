// `#!` lines (execve(2), "Interpreter scripts"). Pure.
#pragma once

#include <span>
#include <string_view>

#include "core/result.h"

namespace process {

inline constexpr size_t kExecHeadSize = 256;  // BINPRM_BUF_SIZE: a longer line is cut
inline constexpr unsigned kMaxScriptDepth = 4;  // further interpreters: ELOOP

struct ScriptLine {
    std::string_view interpreter;
    std::string_view argument;  // empty: none
    bool has_argument = false;
};

inline bool is_script(std::string_view head) { return head.starts_with("#!"); }
// The first bytes of a script. ENOEXEC: no interpreter, or its path is cut off. Points into `head`.
Result<ScriptLine> parse_script(std::string_view head);

}  // namespace process
