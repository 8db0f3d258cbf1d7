// siginfo_t in a program's memory: 128 bytes, of which the first 48 carry something (signal.h: SignalInfo). Linux keeps
// the same 48 and calls the rest the expansion (include/linux/signal.h).
#pragma once

#include <optional>

#include "core/types.h"
#include "process/signal.h"

namespace process {

struct UserSignalInfo {
    SignalInfo info;
    uint64_t expansion[10] = {};
};
static_assert(sizeof(UserSignalInfo) == 128);

// The expansion becomes 0. EFAULT.
Result<void> copy_out_info(UserOut<UserSignalInfo> to, const SignalInfo& info);
// What a program made up; `signal` replaces the number that stands in it. E2BIG: a code of unknown layout, and the
// expansion is not 0 (kernel/signal.c, post_copy_siginfo_from_user()). EFAULT.
Result<SignalInfo> copy_in_info(UserIn<UserSignalInfo> from, std::optional<int> signal = {});
// True if Linux knows what siginfo_t holds for this pair (kernel/signal.c, known_siginfo_layout()).
bool has_known_layout(int signal, int code);

}  // namespace process
