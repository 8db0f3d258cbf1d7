#include "process/usage.h"

#include "arch/x86_64/processor.h"
#include "sched/timer.h"

namespace process {

Usage usage_of(const Thread& thread) {
    Usage usage;
    usage.user_ns = sched::thread_cpu_ns(thread);
    usage.minor_faults = thread.minor_faults;
    usage.voluntary_switches = thread.voluntary_switches;
    usage.involuntary_switches = thread.involuntary_switches;
    return usage;
}

Usage usage_of(Process& process) {
    core::SpinGuard guard(process.signal_lock);
    Usage usage = process.dead_threads_usage;
    for (const Thread& thread : process.threads) usage.add(usage_of(thread));
    usage.max_resident_kib = process.max_resident_kib;
    return usage;
}

EntryCounts entries_of(Process& process) {
    core::SpinGuard guard(process.signal_lock);
    EntryCounts counts = process.past_entries;
    for (const Thread& thread : process.threads) {
        bool current = &thread == &sched::current();
        for (unsigned model = 0; model < arch::kModelCount; model++) {
            counts.of[model] += thread.entries[model] + (current ? arch::processor().entries[model] : 0);
        }
    }
    return counts;
}

Nanoseconds cpu_time_of(Process& process) {
    Usage usage = usage_of(process);
    return usage.user_ns + usage.system_ns;
}

}  // namespace process
