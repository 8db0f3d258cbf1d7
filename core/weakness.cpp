#include "core/weakness.h"

#include "core/log.h"

namespace core {

#if defined(ISOUNIK_KERNEL_DEBUG)

extern "C" {
uint64_t isounik_weaknesses = 0;
}

namespace {

struct Name {
    std::string_view name;
    Weakness weakness;
};
constexpr Name kNames[] = {
    {"kernel-key", Weakness::kKernelKey},
    {"wrpkru-compare", Weakness::kWrpkruCompare},
    {"armed-page", Weakness::kArmedPage},
    {"confined-supervisor", Weakness::kConfinedSupervisor},
    {"private-ist", Weakness::kPrivateIst},
    {"ist-wipe", Weakness::kIstWipe},
    {"who-interrupted", Weakness::kWhoInterrupted},
    {"error-code-alignment", Weakness::kErrorCodeAlignment},
    {"in-service-check", Weakness::kInServiceCheck},
    {"canonical-return", Weakness::kCanonicalReturn},
    {"flag-mask", Weakness::kFlagMask},
    {"signal-frame", Weakness::kSignalFrame},
    {"inspection", Weakness::kInspection},
    {"write-xor-execute", Weakness::kWriteXorExecute},
    {"text-snapshot", Weakness::kTextSnapshot},
    {"user-range", Weakness::kUserRange},
    {"user-copy-keys", Weakness::kUserCopyKeys},
    {"confine-order", Weakness::kConfineOrder},
};

}  // namespace

Result<void> weaken(std::string_view names) {
    uint64_t weaknesses = 0;
    for (bool last = names.empty(); !last;) {
        size_t end = names.find(',');
        last = end == std::string_view::npos;
        std::string_view name = names.substr(0, end);
        bool found = false;
        for (const Name& known : kNames) {
            if (known.name != name) continue;
            weaknesses |= uint64_t{1} << static_cast<unsigned>(known.weakness);
            found = true;
        }
        if (!found) {
            klog::error("weaken: there is no defence \"{}\" (core/weakness.cpp)", name);
            return fail(Errno::kInval);
        }
        if (!last) names.remove_prefix(end + 1);
        klog::warn("THE DEFENCE \"{}\" IS SWITCHED OFF: this machine is for tests of attacks only", name);
    }
    isounik_weaknesses = weaknesses;
    return {};
}

#else

Result<void> weaken(std::string_view names) {
    klog::error("weaken={} is refused: only a debug kernel (ISOUNIK_KERNEL_DEBUG) can switch defences off", names);
    return fail(Errno::kInval);
}

#endif

}  // namespace core
