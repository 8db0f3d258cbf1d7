#include "process/script.h"

namespace process {

namespace {

constexpr bool is_blank(char c) { return c == ' ' || c == '\t'; }

std::string_view trim_front(std::string_view text) {
    while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
    return text;
}

}  // namespace

// fs/binfmt_script.c, load_script().
Result<ScriptLine> parse_script(std::string_view head) {
    std::string_view line = head.substr(2);
    size_t end = line.find('\n');
    if (end == std::string_view::npos) {
        // The line is cut or the file ends here: fine as long as the interpreter's path is whole.
        std::string_view path = trim_front(line);
        bool whole = head.size() < kExecHeadSize;
        for (char c : path) whole |= is_blank(c) || c == '\0';
        if (!whole) return fail(Errno::kNoExec);
        end = line.size();
    }
    line = trim_front(line.substr(0, end));
    if (size_t nul = line.find('\0'); nul != std::string_view::npos) line = line.substr(0, nul);
    while (!line.empty() && is_blank(line.back())) line.remove_suffix(1);
    if (line.empty()) return fail(Errno::kNoExec);
    size_t path_end = 0;
    while (path_end < line.size() && !is_blank(line[path_end])) path_end++;
    ScriptLine script;
    script.interpreter = line.substr(0, path_end);
    script.argument = trim_front(line.substr(path_end));
    script.has_argument = !script.argument.empty();
    return script;
}

}  // namespace process
