// Timers: one queue per processor, ordered by deadline; the hardware timer stands at or before its head.
#include "sched/timer.h"

#include <algorithm>

#include "arch/x86_64/apic.h"
#include "arch/x86_64/clock.h"
#include "arch/x86_64/interrupts.h"
#include "arch/x86_64/top_table.h"
#include "core/lock.h"
#include "sched/scheduler.h"

namespace sched {

namespace {

struct ByDeadline {
    bool operator()(const Timer& a, const Timer& b) const { return a.deadline_ < b.deadline_; }
};

struct TimerQueue {
    core::Spinlock lock{core::Rank::kTimer};
    core::MultiTree<Timer, &Timer::hook, ByDeadline> tree;
    // When the hardware timer fires; kNever if it is off. Only its own processor touches it.
    Nanoseconds hardware_deadline = core::kNever;
};

TimerQueue queues[kMaxCpus];
std::atomic<uint64_t> realtime_offset{0};
Nanoseconds test_tick_ns = 0;

}  // namespace

Nanoseconds monotonic_ns() { return arch::now_ns(); }
Nanoseconds realtime_offset_ns() { return realtime_offset.load(std::memory_order_relaxed); }
void set_realtime(Nanoseconds realtime_ns) { realtime_offset.store(realtime_ns - monotonic_ns()); }

void program_timer(Nanoseconds deadline) {
    TimerQueue& queue = queues[arch::this_cpu()];
    if (test_tick_ns) [[unlikely]] deadline = std::min(deadline, monotonic_ns() + test_tick_ns);
    if (deadline >= queue.hardware_deadline) return;
    queue.hardware_deadline = deadline;
    Nanoseconds now = monotonic_ns();
    arch::set_timer(deadline > now ? deadline - now : 1);
}

void set_test_tick(Nanoseconds period) {
    test_tick_ns = period;
    for (CpuMask cpus = online_cpus(); cpus; cpus &= cpus - 1) {
        arch::send_ipi(arch::apic_id_of(static_cast<unsigned>(__builtin_ctzll(cpus))), arch::kVectorTimer);
    }
}

void Timer::arm(Nanoseconds deadline) {
    cancel();
    cpu_ = arch::this_cpu();
    TimerQueue& queue = queues[cpu_];
    {
        core::SpinGuard guard(queue.lock);
        deadline_ = deadline;
        armed_.store(true);
        queue.tree.insert(*this);
    }
    program_timer(deadline);
}

void Timer::cancel() {
    for (;;) {
        if (!armed_.load() && !running_.load()) return;
        unsigned cpu = cpu_;
        TimerQueue& queue = queues[cpu];
        {
            core::SpinGuard guard(queue.lock);
            if (cpu == cpu_ && hook.is_linked()) {
                queue.tree.erase(queue.tree.iterator_to(*this));
                armed_.store(false);
                return;
            }
        }
        // expire() runs: on another processor, wait; on this one we are inside it.
        if (!running_.load() || cpu == arch::this_cpu()) return;
        core::spin_wait();
    }
}

Nanoseconds next_timer_deadline() {
    TimerQueue& queue = queues[arch::this_cpu()];
    core::SpinGuard guard(queue.lock);
    return queue.tree.empty() ? core::kNever : queue.tree.begin()->deadline_;
}

Nanoseconds run_expired_timers(Nanoseconds now) {
    TimerQueue& queue = queues[arch::this_cpu()];
    queue.hardware_deadline = core::kNever;
    for (;;) {
        Timer* timer;
        {
            core::SpinGuard guard(queue.lock);
            if (queue.tree.empty()) return core::kNever;
            timer = &*queue.tree.begin();
            if (timer->deadline_ > now) return timer->deadline_;
            queue.tree.erase(queue.tree.begin());
            timer->running_.store(true);
            timer->armed_.store(false);
        }
        timer->expire();
        // Still there: its owner may free it only after cancel(), which waits for this store.
        timer->running_.store(false);
    }
}

}  // namespace sched
