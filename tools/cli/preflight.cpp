#include "cli/preflight.h"

#include "elf/closure.h"
#include "support/failure.h"
#include "support/strings.h"

namespace tool {

namespace {

/// Without PATH, what the kernel uses.
constexpr const char* kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Kernel, its page tables, and the least that a program can live on.
constexpr uint64_t kLeastBesidesImage = 12 << 20;

std::string find_program(const Tree& root, const std::string& program, const std::vector<std::string>& environment) {
    auto is_file = [&root](const std::string& path) {
        std::shared_ptr<Node> node = root.find(path);
        return node && node->type == NodeType::Regular;
    };
    if (program.find('/') != std::string::npos) return is_file(program) ? program : std::string();
    std::string folders = kDefaultPath;
    for (const std::string& variable : environment)
        if (variable.starts_with("PATH=")) folders = variable.substr(5);
    for (const std::string& folder : split(folders, ':'))
        if (is_file(folder + '/' + program)) return folder + '/' + program;
    return {};
}

}  // namespace

ProgramCheck check_program(const Tree& root, const std::string& program, const std::vector<std::string>& environment) {
    const std::string path = find_program(root, program, environment);
    if (path.empty()) return ProgramCheck::NotFound;
    const std::vector<MissingLibrary> missing = find_missing_libraries(root, {path});
    if (missing.empty()) return ProgramCheck::Fine;
    std::vector<std::string> lines;
    auto role = [](MissingKind kind) {
        switch (kind) {
            case MissingKind::Loader: return " (the loader";
            case MissingKind::ScriptInterpreter: return " (the interpreter";
            case MissingKind::Library: break;
        }
        return " (a library";
    };
    for (const MissingLibrary& library : missing)
        lines.push_back(library.name + role(library.kind) + " that " + library.needed_by + " needs)");
    throw Failure("the root lacks what " + path + " needs: " + join(lines, ", "),
                  "copy it into the root, add the Debian package that has it with --packages, "
                  "or link the program statically");
}

void check_memory(uint64_t image_bytes, uint64_t memory_bytes) {
    if (image_bytes + kLeastBesidesImage <= memory_bytes) return;
    const uint64_t mebibytes = (image_bytes + kLeastBesidesImage + (4 << 20) - 1) >> 20;
    throw Failure("not enough memory for the image: it takes " + human_size(image_bytes) + " of " +
                      human_size(memory_bytes),
                  "give the machine at least -m " + std::to_string(mebibytes) + "M");
}

}  // namespace tool
