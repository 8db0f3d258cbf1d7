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

// Inspects what the segments of one file will map. EACCES with a reason.
Result<void> check_segments(const ExecutableFile& file, const elf::Image& image, mm::Reason& reason) {
    for (const elf::Segment& segment : image.segments) {
        if (!(segment.flags & elf::kFlagExecute)) continue;
        if (segment.flags & elf::kFlagWrite) {
            reason.set("{}: a segment is writable and executable", file.mappable()->map_name());
            return fail(Errno::kAcces);
        }
        uint64_t first = segment.file_offset >> core::kPageShift;
        uint64_t end = first + (core::align_up(segment.file_bytes, kPageSize) >> core::kPageShift);
        TRY(mm::code_policy()->inspect(file.mappable(), first, end, reason));
    }
    return {};
}

Result<void> check_code(const ProgramCode& code, mm::Reason& reason) {
    auto refuse = [&](std::string_view why) {
        reason.set("{}", why);
        return fail(Errno::kAcces);
    };
    if (!policy.has_protection_keys) return refuse("the processor has no protection keys");
    if (core::weakened(core::Weakness::kInspection)) return {};
    if (!mm::code_policy()) return refuse("inspection is not available");
    if (code.image.executable_stack) return refuse("the program asks for an executable stack");
    TRY(check_segments(code.program, code.image, reason));
    if (code.loader) TRY(check_segments(*code.loader, *code.loader_image, reason));
    return {};
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
    auto checked = check_code(code, choice.reason);
    if (!checked && checked.error() != Errno::kAcces) return fail(checked.error());
    if (!checked && wanted == Isolation::kMpk) {
        klog::error("{}: not started, isolation=mpk is impossible: {}", code.program.mappable()->map_name(), choice.reason.view());
        return fail(Errno::kAcces);
    }
    if (!checked) return choice;
    choice.model = mm::Model::kIsolated;
    if (wanted == Isolation::kAuto) choice.fallback = mm::AddressSpace::Fallback::kConfine;
    choice.reason.set(core::weakened(core::Weakness::kInspection) ? "inspection is switched off" : "code was inspected");
    return choice;
}

}  // namespace process
