#include "sched_host.h"

#include <cstdio>
#include <cstdlib>
#include <deque>

#include "mm/address_space.h"
#include "sched/timer.h"

namespace {

std::deque<std::function<void()>> planned;
Nanoseconds now_ns = 1'000'000'000;
Nanoseconds realtime_offset = 1'700'000'000'000'000'000;

struct ByDeadline {
    bool operator()(const sched::Timer& a, const sched::Timer& b) const { return a.deadline_ < b.deadline_; }
};
core::MultiTree<sched::Timer, &sched::Timer::hook, ByDeadline> timers;

void expire_due() {
    while (!timers.empty() && timers.begin()->deadline_ <= now_ns) {
        sched::Timer& timer = *timers.begin();
        timers.erase(timers.begin());
        timer.armed_ = false;
        timer.expire();
    }
}

}  // namespace

namespace test_support {

void on_sleep(std::function<void()> action) { planned.push_back(std::move(action)); }
void set_clock(Nanoseconds now) { now_ns = now; }
void advance_clock(Nanoseconds delta) {
    now_ns += delta;
    expire_due();
}
void set_interrupted(bool interrupted) { sched::current().interrupt_pending = interrupted; }

}  // namespace test_support

namespace sched {

Thread::Thread() = default;
Thread::~Thread() = default;

Thread& current() {
    static Thread* thread = new Thread();
    return *thread;
}
void wake(Thread& thread) {
    if (thread.state == ThreadState::kSleeping) thread.state = ThreadState::kRunnable;
}
void interrupt(Thread& thread) {
    thread.interrupt_pending = true;
    if (thread.interruptible_sleep) wake(thread);
}
void start(Thread& thread) { thread.state = ThreadState::kRunnable; }
void prepare_sleep(Interruptible interruptible) {
    current().state = ThreadState::kSleeping;
    current().interruptible_sleep = interruptible == Interruptible::kYes;
}
void cancel_sleep() {
    current().state = ThreadState::kRunnable;
    current().interruptible_sleep = false;
}
Wake sleep(Nanoseconds deadline) {
    Thread& thread = current();
    bool interruptible = thread.interruptible_sleep;
    while (thread.state == ThreadState::kSleeping) {
        if (interruptible && thread.interrupt_pending) break;
        if (!planned.empty()) {
            auto action = std::move(planned.front());
            planned.pop_front();
            action();
            continue;
        }
        Nanoseconds next = timers.empty() ? core::kNever : timers.begin()->deadline_;
        if (deadline <= next) {
            if (deadline == core::kNever) {
                std::fprintf(stderr, "sleep() without anybody who could wake it\n");
                std::abort();
            }
            if (now_ns < deadline) now_ns = deadline;
            cancel_sleep();
            return Wake::kTimeout;
        }
        if (now_ns < next) now_ns = next;
        expire_due();
    }
    cancel_sleep();
    return interruptible && thread.interrupt_pending ? Wake::kInterrupted : Wake::kWoken;
}
Wake sleep_until(Nanoseconds deadline, Interruptible interruptible) {
    prepare_sleep(interruptible);
    return sleep(deadline);
}
void yield() {}
void poll_point() {}
bool need_resched() { return false; }
CpuMask online_cpus() { return 1; }
unsigned cpu_count() { return 1; }

void Timer::arm(Nanoseconds deadline) {
    cancel();
    deadline_ = deadline;
    armed_ = true;
    timers.insert(*this);
}
void Timer::cancel() {
    if (hook.is_linked()) timers.erase(timers.iterator_to(*this));
    armed_ = false;
}
Nanoseconds monotonic_ns() { return now_ns; }
Nanoseconds realtime_offset_ns() { return realtime_offset; }
void set_realtime(Nanoseconds realtime_ns) { realtime_offset = realtime_ns - now_ns; }
Nanoseconds thread_cpu_ns(const Thread& thread) { return thread.run_total_ns; }

}  // namespace sched
