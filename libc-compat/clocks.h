// Clock ids of clock_gettime(2), those of other processes and threads included.
#pragma once

#include "core/memory.h"
#include "libc-compat/syscall.h"
#include "process/timers.h"

namespace abi {

inline constexpr int kClockRealtime = 0, kClockMonotonic = 1, kClockProcessCpu = 2, kClockThreadCpu = 3,
    kClockMonotonicRaw = 4, kClockRealtimeCoarse = 5, kClockMonotonicCoarse = 6, kClockBoottime = 7,
    kClockRealtimeAlarm = 8, kClockBoottimeAlarm = 9, kClockTai = 11;

// Whose time a clock tells.
struct Clock {
    process::TimerClock kind = process::TimerClock::kMonotonic;
    Ref<process::Process> process;  // kProcessCpu
    Ref<process::Thread> thread;    // kThreadCpu
};

// EINVAL: no such clock, or of a process that is gone.
Result<Clock> find_clock(Context& context, int clock_id);
Nanoseconds read_clock(const Clock& clock);

}  // namespace abi
