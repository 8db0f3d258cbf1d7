#include "process/usage.h"

#include <algorithm>

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

namespace {

constexpr uint64_t kKibPerPage = kPageSize / 1024;

void raise_to(std::atomic<uint64_t>& most, uint64_t value) {
    uint64_t old = most;
    while (value > old && !most.compare_exchange_weak(old, value)) {}
}

}  // namespace

void note_resident_pages(Process& process, mm::AddressSpace& space) {
    // There are never more than mapped ones, and these are counted already.
    if (space.mapped_pages() * kKibPerPage <= process.max_resident_kib) return;
    raise_to(process.max_resident_kib, space.sizes().resident_pages * kKibPerPage);
}

void note_peaks(Process& process, mm::AddressSpace& space) {
    const uint64_t mapped = space.mapped_pages();
    process.unnoted_pages = std::max(static_cast<int64_t>(mapped / 8), Process::kUnnotedPages);
    raise_to(process.peak_mapped_pages, mapped);
    if (mapped <= process.peak_resident_pages) return;
    const uint64_t resident = space.sizes().resident_pages;
    raise_to(process.peak_resident_pages, resident);
    raise_to(process.max_resident_kib, resident * kKibPerPage);
}

Nanoseconds cpu_time_of(Process& process) {
    Usage usage = usage_of(process);
    return usage.user_ns + usage.system_ns;
}

}  // namespace process
