// CPU time and resource usage (getrusage(2), times(2), proc(5)).
#pragma once

#include "process/process.h"

namespace process {

inline constexpr uint64_t kTicksPerSecond = 100;  // AT_CLKTCK, USER_HZ
inline constexpr Nanoseconds kNanosecondsPerTick = 1'000'000'000 / kTicksPerSecond;

// Living and dead threads together. Lock taken: signal_lock.
Usage usage_of(Process& process);
Usage usage_of(const Thread& thread);
// Before a process leaves a space, or asks: the most that it had in memory (ru_maxrss). Looks at the space's tables.
void note_resident_pages(Process& process, mm::AddressSpace& space);
// User plus system time.
Nanoseconds cpu_time_of(Process& process);

}  // namespace process
