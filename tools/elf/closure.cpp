#include "elf/closure.h"

#include <deque>
#include <set>

#include "elf/elf_file.h"
#include "support/strings.h"

namespace tool {

namespace {

constexpr const char* kSystemFolders[] = {"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64",
                                          "/lib", "/usr/lib", "/usr/local/lib", "/usr/local/lib/x86_64-linux-gnu"};

bool is_regular(const Tree& tree, const std::string& path) {
    std::shared_ptr<Node> node = tree.find(path);
    return node && node->type == NodeType::Regular;
}

std::string with_origin(std::string path, const std::string& origin) {
    for (const char* name : {"${ORIGIN}", "$ORIGIN"}) {
        if (size_t at = path.find(name); at != std::string::npos) path.replace(at, std::string(name).size(), origin);
    }
    return path;
}

/// The interpreter that a script names in its first line, or empty.
std::string script_interpreter(std::string_view content) {
    if (!content.starts_with("#!")) return {};
    std::string_view line = trim(content.substr(2, content.find('\n') - 2));
    return std::string(line.substr(0, line.find_first_of(" \t")));
}

}  // namespace

std::string find_library(const Tree& tree, const std::string& name, const std::vector<std::string>& search_paths,
                         const std::string& origin) {
    if (name.find('/') != std::string::npos) return is_regular(tree, name) ? name : std::string();
    for (const std::string& folder : search_paths) {
        std::string candidate = with_origin(folder, origin) + '/' + name;
        if (is_regular(tree, candidate)) return candidate;
    }
    for (const char* folder : kSystemFolders) {
        std::string candidate = std::string(folder) + '/' + name;
        if (is_regular(tree, candidate)) return candidate;
    }
    return {};
}

std::vector<MissingLibrary> find_missing_libraries(const Tree& tree, const std::vector<std::string>& paths) {
    return library_closure(tree, paths).missing;
}

LibraryClosure library_closure(const Tree& tree, const std::vector<std::string>& paths) {
    LibraryClosure closure;
    std::set<std::string> reported;
    std::set<const Node*> seen;
    std::deque<std::string> todo(paths.begin(), paths.end());
    auto report = [&](const std::string& name, const std::string& needed_by, MissingKind kind) {
        if (reported.insert(name).second) closure.missing.push_back({name, needed_by, kind});
    };
    while (!todo.empty()) {
        std::string path = tree.canonical(todo.front());
        todo.pop_front();
        std::shared_ptr<Node> node = tree.find(path);
        if (path.empty() || !node || node->type != NodeType::Regular || !seen.insert(node.get()).second) continue;
        closure.files.push_back(path);
        const std::string content = node->content();
        if (std::string interpreter = script_interpreter(content); !interpreter.empty()) {
            if (is_regular(tree, interpreter)) {
                todo.push_back(interpreter);
            } else if ((node->meta.mode & 0111) != 0) {
                report(interpreter, path, MissingKind::ScriptInterpreter);
            }
            continue;
        }
        std::optional<ElfFile> elf = parse_elf(content);
        if (!elf) continue;
        if (!elf->interpreter.empty()) {
            if (is_regular(tree, elf->interpreter)) {
                todo.push_back(elf->interpreter);
            } else {
                report(elf->interpreter, path, MissingKind::Loader);
            }
        }
        const std::string origin = path.substr(0, path.rfind('/'));
        for (const std::string& name : elf->needed) {
            std::string found = find_library(tree, name, elf->search_paths, origin);
            if (found.empty()) {
                report(name, path, MissingKind::Library);
            } else {
                todo.push_back(found);
            }
        }
    }
    return closure;
}

}  // namespace tool
