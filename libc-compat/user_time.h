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

// What does not fit becomes the largest signed time, 292 years: sums with the clock do not overflow.
constexpr Nanoseconds to_ns(const UserTimespec& time) {
    if (static_cast<uint64_t>(time.seconds) >= INT64_MAX / kNanosecondsPerSecond) return INT64_MAX;
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
// The deadline of a poll of `duration` from now; 0 stays 0 ("do not wait").
inline Nanoseconds poll_deadline(Nanoseconds duration) { return duration == 0 ? 0 : deadline_after(duration); }
// A point of CLOCK_REALTIME on the monotonic clock.
inline Nanoseconds realtime_to_monotonic(Nanoseconds realtime) {
    Nanoseconds offset = sched::realtime_offset_ns();
    return realtime > offset ? realtime - offset : 0;
}
// EINVAL unless normalised and not negative.
inline Result<Nanoseconds> to_nanoseconds(const UserTimespec& time) {
    if (!is_valid(time)) return fail(Errno::kInval);
    return to_ns(time);
}
// A timespec from the program. EFAULT, EINVAL.
inline Result<Nanoseconds> read_timespec(UserIn<UserTimespec> address) {
    return to_nanoseconds(TRY(arch::copy_in(address)));
}

}  // namespace abi
