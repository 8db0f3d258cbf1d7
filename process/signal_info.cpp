#include "process/signal_info.h"

#include <algorithm>

#include "arch/x86_64/user_copy.h"

namespace process {

namespace {

constexpr int kSiAsyncNameLookup = -60, kSiLowestKnown = -7;

// The highest code that Linux 6.1 knows of a signal whose codes are its own (include/uapi/asm-generic/siginfo.h).
constexpr int highest_code(int signal) {
    constexpr int kOfPoll = 6;
    switch (signal) {
        case kSigIll: return 11;
        case kSigFpe: return 15;
        case kSigSegv: return 9;
        case kSigBus: return 5;
        case kSigTrap: return 6;
        case kSigChld: return 6;
        case kSigSys: return 2;
        default: return kOfPoll;
    }
}

}  // namespace

bool has_known_layout(int signal, int code) {
    if (code == kSiKernel) return true;
    if (code > kSiUser) return code <= highest_code(signal);
    return code >= kSiLowestKnown || code == kSiAsyncNameLookup;
}

Result<void> copy_out_info(UserOut<UserSignalInfo> to, const SignalInfo& info) {
    TRY(arch::copy_out(to.address(), &info, sizeof info));
    return arch::zero_user(to.address() + sizeof info, sizeof(UserSignalInfo) - sizeof info);
}

Result<SignalInfo> copy_in_info(UserIn<UserSignalInfo> from, std::optional<int> signal) {
    SignalInfo info = TRY(arch::copy_in(UserIn<SignalInfo>(from.address().value())));
    if (signal) info.signal = *signal;
    if (has_known_layout(info.signal, info.code)) return info;
    UserSignalInfo whole = TRY(arch::copy_in(from));
    if (!std::ranges::all_of(whole.expansion, [](uint64_t word) { return word == 0; })) return fail(Errno::k2Big);
    return info;
}

}  // namespace process
