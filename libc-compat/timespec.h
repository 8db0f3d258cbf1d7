// Times as programs pass them.
#pragma once

#include <cstdint>

#include "core/result.h"
#include "core/types.h"
#include "sched/timer.h"

namespace abi {

struct UserTimespec { int64_t seconds, nanoseconds; };
struct UserTimeval { int64_t seconds, microseconds; };

inline constexpr int64_t kNanosecondsPerSecond = 1'000'000'000;

// EINVAL unless normalised and not negative. What does not fit becomes the largest finite time.
inline Result<Nanoseconds> to_nanoseconds(UserTimespec time) {
    if (time.seconds < 0 || time.nanoseconds < 0 || time.nanoseconds >= kNanosecondsPerSecond) return fail(Errno::kInval);
    if (time.seconds >= INT64_MAX / kNanosecondsPerSecond) return INT64_MAX;
    return Nanoseconds(time.seconds * kNanosecondsPerSecond + time.nanoseconds);
}
inline UserTimespec to_timespec(Nanoseconds time) {
    return {static_cast<int64_t>(time / kNanosecondsPerSecond), static_cast<int64_t>(time % kNanosecondsPerSecond)};
}
// The deadline of a wait of `duration` from now; 0 stays 0 ("do not wait").
inline Nanoseconds deadline_after(Nanoseconds duration) {
    return duration == 0 ? 0 : sched::monotonic_ns() + duration;
}

}  // namespace abi
