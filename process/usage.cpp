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

namespace {

// A processor folds its count into the thread that it runs when it switches to another: until then both belong to it.
uint64_t entries_of(const Thread& thread, unsigned model) {
    for (;;) {
        uint64_t folded = __atomic_load_n(&thread.entries[model], __ATOMIC_ACQUIRE), counted = 0;
        arch::Processor* processor = arch::processor_of(thread.cpu);
        if (processor && __atomic_load_n(&processor->current, __ATOMIC_ACQUIRE) == &thread) {
            counted = __atomic_load_n(&processor->entries[model], __ATOMIC_ACQUIRE);
        }
        if (__atomic_load_n(&thread.entries[model], __ATOMIC_ACQUIRE) == folded) return folded + counted;
    }
}

}  // namespace

EntryCounts entries_of(Process& process) {
    core::SpinGuard guard(process.signal_lock);
    EntryCounts counts = process.past_entries;
    for (const Thread& thread : process.threads) {
        for (unsigned model = 0; model < arch::kModelCount; model++) counts.of[model] += entries_of(thread, model);
    }
    return counts;
}

void note_resident_pages(Process& process, mm::AddressSpace& space) {
    constexpr uint64_t kKibPerPage = kPageSize / 1024;
    // There are never more than mapped ones, and these are counted already.
    if (space.mapped_pages() * kKibPerPage <= process.max_resident_kib) return;
    const uint64_t kib = space.sizes().resident_pages * kKibPerPage;
    uint64_t most = process.max_resident_kib;
    while (kib > most && !process.max_resident_kib.compare_exchange_weak(most, kib)) {}
}

Nanoseconds cpu_time_of(Process& process) {
    Usage usage = usage_of(process);
    return usage.user_ns + usage.system_ns;
}

}  // namespace process
