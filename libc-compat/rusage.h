// struct rusage of the system-call interface (getrusage(2), wait4(2)).
#pragma once

#include "libc-compat/user_time.h"
#include "process/usage.h"

namespace abi {

struct UserRusage {
    UserTimeval user, system;
    int64_t max_resident_kib, shared_kib, data_kib, stack_kib, minor_faults, major_faults, swaps, block_input,
        block_output, messages_sent, messages_received, signals, voluntary_switches, involuntary_switches;
};
static_assert(sizeof(UserRusage) == 144);

inline UserRusage to_rusage(const process::Usage& usage) {
    UserRusage result{};
    result.user = to_timeval(usage.user_ns);
    result.system = to_timeval(usage.system_ns);
    result.max_resident_kib = static_cast<int64_t>(usage.max_resident_kib);
    result.minor_faults = static_cast<int64_t>(usage.minor_faults);
    result.voluntary_switches = static_cast<int64_t>(usage.voluntary_switches);
    result.involuntary_switches = static_cast<int64_t>(usage.involuntary_switches);
    return result;
}

}  // namespace abi
