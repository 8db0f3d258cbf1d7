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
// Before a program gives back up to `pages` pages: the most that it had till now (VmHWM, VmPeak, ru_maxrss). The tables
// are looked at once for every eighth of the mapped memory that is given back (at first for kUnnotedPages), so that
// this costs in proportion to the unmapping; peaks may be too low by so much.
void note_peaks(Process& process, mm::AddressSpace& space);
inline void note_unmapping(Process& process, mm::AddressSpace& space, uint64_t pages) {
    const int64_t left = process.unnoted_pages.load(std::memory_order_relaxed) - static_cast<int64_t>(pages);
    process.unnoted_pages.store(left, std::memory_order_relaxed);  // threads at once may count too little
    if (left < 0) [[unlikely]] note_peaks(process, space);
}
// User plus system time.
Nanoseconds cpu_time_of(Process& process);

}  // namespace process
