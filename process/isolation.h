// Which of the three privileges (docs/security.md) a program gets.
#pragma once

#include <optional>
#include <string_view>

#include "core/string.h"
#include "core/vector.h"
#include "fs/path.h"
#include "mm/address_space.h"
#include "process/elf.h"

namespace process {

class ExecutableFile;

// As `isolation=` of the kernel's command line and `--isolation` of the tool say it.
enum class Isolation : uint8_t {
    kAuto,   // isolated if the processor has keys and the code passes inspection, else confined
    kMpk,    // isolated, or not started
    kRing3,  // confined
    kNone,   // ring 0, nothing closed
};
std::optional<Isolation> parse_isolation(std::string_view text);

struct IsolationPolicy {
    Isolation otherwise = Isolation::kAuto;
    struct OfPath {
        core::String path;
        Isolation isolation;
    };
    core::Vector<OfPath> of_paths;
    bool has_protection_keys = false;  // of the processor
};
// Once, before the first program.
void set_isolation_policy(IsolationPolicy policy);

struct ModelChoice {
    mm::Model model = mm::Model::kConfined;
    mm::AddressSpace::Fallback fallback = mm::AddressSpace::Fallback::kRefuse;
    mm::Reason reason;
};

// What is about to run: a path as it was named, and the files. For a script, its interpreter's.
struct ProgramCode {
    std::string_view named;
    fs::Path root;  // of the process
    const ExecutableFile& program;
    const elf::Image& image;
};

// `isolation-of` is compared with the path as it was named, and with where that led. Code is inspected when it is
// mapped: a space that is isolated by then becomes confined, or the mapping fails (AddressSpace::set_isolation()).
// EACCES: `mpk` was asked for and cannot be had; logged. ENOMEM.
Result<ModelChoice> choose_model(const ProgramCode& code);

// "mpk", "ring3", "none": as /proc/<pid>/status says it.
std::string_view model_name(mm::Model model);

}  // namespace process
