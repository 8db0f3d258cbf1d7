// struct timespec and timeval of the system-call interface, as nanoseconds.
#pragma once

#include <cstdint>

#include "arch/x86_64/user_copy.h"
#include "core/result.h"
#include "core/types.h"
#include "sched/timer.h"

namespace abi {

inline constexpr uint64_t kNanosecondsPerSecond = 1'000'000'000;

struct UserTimespec { int64_t seconds, nanoseconds; };
struct UserTimeval { int64_t seconds, microseconds; };

// Saturates at kNever - 1, which nobody will live to see.
constexpr Nanoseconds to_ns(const UserTimespec& time) {
    if (static_cast<uint64_t>(time.seconds) >= core::kNever / kNanosecondsPerSecond) return core::kNever - 1;
    return static_cast<uint64_t>(time.seconds) * kNanosecondsPerSecond + static_cast<uint64_t>(time.nanoseconds);
}
constexpr bool is_valid(const UserTimespec& time) {
    return time.seconds >= 0 && time.nanoseconds >= 0 && time.nanoseconds < 1'000'000'000;
}
constexpr UserTimespec to_timespec(Nanoseconds ns) {
    return {static_cast<int64_t>(ns / kNanosecondsPerSecond), static_cast<int64_t>(ns % kNanosecondsPerSecond)};
}
constexpr UserTimeval to_timeval(Nanoseconds ns) {
    return {static_cast<int64_t>(ns / kNanosecondsPerSecond),
            static_cast<int64_t>(ns % kNanosecondsPerSecond / 1000)};
}
// now + duration without overflow.
inline Nanoseconds deadline_after(Nanoseconds duration) {
    Nanoseconds now = sched::monotonic_ns();
    return duration >= core::kNever - 1 - now ? core::kNever - 1 : now + duration;
}
// A point of CLOCK_REALTIME on the monotonic clock.
inline Nanoseconds realtime_to_monotonic(Nanoseconds realtime) {
    Nanoseconds offset = sched::realtime_offset_ns();
    return realtime > offset ? realtime - offset : 0;
}
// A timespec from the program. EFAULT, EINVAL.
inline Result<Nanoseconds> read_timespec(UserIn<UserTimespec> address) {
    UserTimespec time = TRY(arch::copy_in(address));
    if (!is_valid(time)) return fail(Errno::kInval);
    return to_ns(time);
}

}  // namespace abi
