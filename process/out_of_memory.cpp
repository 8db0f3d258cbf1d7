#include "process/out_of_memory.h"

#include "core/log.h"
#include "mm/failing_allocations.h"
#include "mm/frames.h"
#include "process/process.h"

namespace process {

namespace {

constexpr int kNeverKill = -1000;  // oom_score_adj

struct Choice {
    Ref<Process> process;
    uint64_t score = 0, resident_pages = 0, total_pages = 0;
    bool somebody_dies = false;
};

// Resident pages plus a thousandth of the memory for each point of adjustment (mm/oom_kill.c, oom_badness()).
void consider(void* context, Process& process) {
    auto& choice = *static_cast<Choice*>(context);
    if (process.exiting && !process.zombie) {  // its memory comes, even if it has let go of its space already
        choice.somebody_dies = true;
        return;
    }
    Ref<mm::AddressSpace> space = process.space();
    int adjustment = process.oom_score_adjustment;
    if (!space || adjustment == kNeverKill) return;
    uint64_t resident = space->sizes().resident_pages;
    int64_t score = static_cast<int64_t>(resident) +
                    adjustment * static_cast<int64_t>(choice.total_pages) / 1000;
    if (score < 1) score = 1;
    if (static_cast<uint64_t>(score) <= choice.score) return;
    choice.score = static_cast<uint64_t>(score);
    choice.resident_pages = resident;
    choice.process = Ref<Process>(&process);
}

void kill_largest_process() {
    Choice choice;
    choice.total_pages = mm::memory_statistics().total_pages;
    for_each_process(consider, &choice);
    if (choice.somebody_dies) return;
    if (!choice.process) {
        // Nobody may be chosen: the one that needs memory goes.
        choice.process = Ref<Process>(&current_process());
    }
    char name[16] = "?";
    {
        core::SpinGuard guard(choice.process->signal_lock);
        if (!choice.process->threads.empty()) __builtin_memcpy(name, choice.process->threads.front().name, sizeof(name));
    }
    klog::warn("out of memory: pid {} ({}) with {} KiB is killed", choice.process->pid, name,
               choice.resident_pages * (kPageSize / 1024));
    send_signal(*choice.process, simple_signal(kSigKill));
}

}  // namespace

void wait_for_memory() {
    if (!mm::failed_on_purpose()) kill_largest_process();
    sched::yield();
}

}  // namespace process
