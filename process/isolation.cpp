#include "process/isolation.h"

#include "core/log.h"
#include "core/weakness.h"
#include "process/exec.h"

namespace process {

namespace {

IsolationPolicy policy;

Result<Isolation> wanted_for(const ProgramCode& code) {
    if (policy.of_paths.empty()) return policy.otherwise;
    core::String resolved = TRY(code.program.path().to_string(code.root));
    for (const IsolationPolicy::OfPath& entry : policy.of_paths) {
        if (entry.path.view() == code.named || entry.path.view() == resolved.view()) return entry.isolation;
    }
    return policy.otherwise;
}

// What rules isolation out before any code is mapped; null: nothing.
const char* obstacle(const ProgramCode& code) {
    if (!policy.has_protection_keys) return "the processor has no protection keys";
    if (core::weakened(core::Weakness::kInspection)) return nullptr;
    if (!mm::code_policy()) return "inspection is not available";
    if (code.image.executable_stack) return "the program asks for an executable stack";
    return nullptr;
}

}  // namespace

std::optional<Isolation> parse_isolation(std::string_view text) {
    if (text == "auto") return Isolation::kAuto;
    if (text == "mpk") return Isolation::kMpk;
    if (text == "ring3") return Isolation::kRing3;
    if (text == "none") return Isolation::kNone;
    return std::nullopt;
}

std::string_view model_name(mm::Model model) {
    switch (model) {
        case mm::Model::kConfined: return "ring3";
        case mm::Model::kIsolated: return "mpk";
        case mm::Model::kNone: return "none";
    }
    return "?";
}

void set_isolation_policy(IsolationPolicy wanted) { policy = std::move(wanted); }

Result<ModelChoice> choose_model(const ProgramCode& code) {
    ModelChoice choice;
    Isolation wanted = TRY(wanted_for(code));
    if (wanted == Isolation::kRing3 || wanted == Isolation::kNone) {
        choice.model = wanted == Isolation::kNone ? mm::Model::kNone : mm::Model::kConfined;
        choice.reason.set("requested");
        return choice;
    }
    if (const char* why = obstacle(code)) {
        choice.reason.set(std::string_view(why));
        if (wanted == Isolation::kAuto) return choice;
        klog::error("{}: not started, isolation=mpk is impossible: {}", code.program.mappable()->map_name(), why);
        return fail(Errno::kAcces);
    }
    choice.model = mm::Model::kIsolated;
    if (wanted == Isolation::kAuto) choice.fallback = mm::AddressSpace::Fallback::kConfine;
    choice.reason.set(core::weakened(core::Weakness::kInspection) ? "inspection is switched off" : "code was inspected");
    return choice;
}

}  // namespace process
