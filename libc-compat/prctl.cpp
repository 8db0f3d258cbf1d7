// prctl(2) and arch_prctl(2).
#include "libc-compat/families.h"

#include <cstring>

#include "arch/x86_64/user_copy.h"
#include "arch/x86_64/user_state.h"
#include "process/process.h"

namespace abi {

namespace {

constexpr int kSetParentDeathSignal = 1, kGetParentDeathSignal = 2, kGetDumpable = 3, kSetDumpable = 4,
    kGetKeepCapabilities = 7, kSetKeepCapabilities = 8, kSetName = 15, kGetName = 16, kBoundingRead = 23,
    kBoundingDrop = 24, kGetSecureBits = 27, kSetTimerSlack = 29, kGetTimerSlack = 30, kSetChildSubreaper = 36,
    kGetChildSubreaper = 37, kSetNoNewPrivileges = 38, kGetNoNewPrivileges = 39, kSetThpDisable = 41,
    kGetThpDisable = 42;

Result<void> set_name(process::Thread& thread, UserIn<char> address) {
    // At most 16 bytes with the NUL; longer names are cut (prctl(2), PR_SET_NAME).
    char name[16] = {};
    auto length = arch::copy_in_string(name, address.address(), sizeof(name));
    if (!length && length.error() != Errno::kNameTooLong) return fail(length.error());
    name[15] = '\0';
    size_t used = std::strlen(name);
    std::memset(name + used, 0, sizeof(name) - used);
    std::memcpy(thread.name, name, sizeof(name));
    return {};
}

Result<int64_t> drop_bounding(Context& context, uint64_t capability) {
    if (!context.credentials().has_capability(process::kCapSetPCap)) return fail(Errno::kPerm);
    if (capability > process::kCapLast) return fail(Errno::kInval);
    Ref<process::Credentials> changed = TRY(context.credentials().clone());
    changed->capabilities_bounding &= ~(1ull << capability);
    core::SpinGuard guard(context.process().signal_lock);
    std::swap(context.thread.credentials, changed);
    guard.unlock();
    return 0;
}

Result<int64_t> sys_prctl(Context& context, int option, uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
    process::Thread& thread = context.thread;
    process::Process& process = context.process();
    switch (option) {
        case kSetParentDeathSignal:
            if (a > process::kSigMax) return fail(Errno::kInval);
            thread.parent_death_signal = static_cast<int>(a);
            return 0;
        case kGetParentDeathSignal:
            TRY(arch::copy_out(UserOut<int>(a), thread.parent_death_signal));
            return 0;
        case kGetDumpable: return process.dumpable.load() ? 1 : 0;
        case kSetDumpable:
            if (a > 1) return fail(Errno::kInval);
            process.dumpable.store(a == 1);
            return 0;
        case kGetKeepCapabilities: return thread.keep_capabilities ? 1 : 0;
        case kSetKeepCapabilities:
            if (a > 1) return fail(Errno::kInval);
            thread.keep_capabilities = a == 1;
            return 0;
        case kSetName:
            TRY(set_name(thread, UserIn<char>(a)));
            return 0;
        case kGetName:
            TRY(arch::copy_out(UserAddr(a), thread.name, sizeof(thread.name)));
            return 0;
        case kBoundingRead:
            if (a > process::kCapLast) return fail(Errno::kInval);
            return context.credentials().capabilities_bounding >> a & 1;
        case kBoundingDrop: return drop_bounding(context, a);
        case kGetSecureBits: return context.credentials().secure_bits;
        case kSetTimerSlack:
            thread.timer_slack_ns = a ? a : 50'000;
            return 0;
        case kGetTimerSlack: return static_cast<int64_t>(thread.timer_slack_ns);
        case kSetChildSubreaper:
            process.child_subreaper = a != 0;
            return 0;
        case kGetChildSubreaper:
            TRY(arch::copy_out(UserOut<int>(a), process.child_subreaper ? 1 : 0));
            return 0;
        case kSetNoNewPrivileges:
            if (a != 1 || b || c || d) return fail(Errno::kInval);
            thread.no_new_privileges = true;
            return 0;
        case kGetNoNewPrivileges:
            if (a || b || c || d) return fail(Errno::kInval);
            return thread.no_new_privileges ? 1 : 0;
        case kSetThpDisable:
            if (b || c || d) return fail(Errno::kInval);
            context.address_space().disable_huge_pages(a != 0);
            return 0;
        case kGetThpDisable:
            if (a || b || c || d) return fail(Errno::kInval);
            return context.address_space().huge_pages_disabled() ? 1 : 0;
        default: return fail(Errno::kInval);
    }
}

constexpr int kArchSetGs = 0x1001, kArchSetFs = 0x1002, kArchGetFs = 0x1003, kArchGetGs = 0x1004;

Result<void> sys_arch_prctl(Context&, int option, uint64_t address) {
    switch (option) {
        case kArchSetFs:
        case kArchSetGs:
            if (address >= core::kUserEnd) return fail(Errno::kPerm);
            if (option == kArchSetFs) arch::set_fs_base(address);
            else arch::set_gs_base(address);
            return {};
        case kArchGetFs: return arch::copy_out(UserOut<uint64_t>(address), arch::fs_base());
        case kArchGetGs: return arch::copy_out(UserOut<uint64_t>(address), arch::gs_base());
        default: return fail(Errno::kInval);
    }
}

constexpr SystemCall kCalls[] = {
    CALL(157, prctl, "op, arg2, arg3, arg4, arg5", "options that are not known: EINVAL"),
    CALL(158, arch_prctl, "op, addr"),
};

}  // namespace

const SystemCallFamily kPrctlFamily{"prctl", kCalls};

}  // namespace abi
