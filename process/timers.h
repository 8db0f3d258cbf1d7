// Timers of a process that send signals: setitimer(2), alarm(2), timer_create(2).
#pragma once

#include <atomic>
#include <memory>

#include "core/lock.h"
#include "core/vector.h"
#include "process/cpu_limit.h"
#include "process/process.h"
#include "sched/timer.h"

namespace process {

// What a timer counts.
enum class TimerClock : uint8_t { kMonotonic, kRealtime, kProcessCpu, kThreadCpu };

// A timer with an interval. Its settings change under ProcessTimers::lock; expire() runs in an interrupt and takes
// no lock of this file, so that cancel() may be called under it.
class SignalTimer final : public sched::Timer {
  public:
    SignalTimer(Process& process, TimerClock clock, int signal) : process_(process), clock_(clock), signal_(signal) {}

    struct Setting { Nanoseconds value = 0, interval = 0; };
    // Starts (value != 0: from now, in the clock's nanoseconds) or stops it.
    void set(Setting setting);
    // Time to the next expiry (0: stopped; at least 1 if armed) and the interval.
    Setting get() const;
    void stop();
    // Expirations beyond the first since the last signal was sent (timer_getoverrun(2)).
    int overrun() const { return overrun_.load(); }
    TimerClock clock() const { return clock_; }
    Nanoseconds clock_now() const;

    // What is sent: the process, or one thread of it (SIGEV_THREAD_ID); signal 0 sends nothing.
    int timer_id = -1;             // -1: an interval timer (SI_KERNEL), else SI_TIMER with this id
    uint64_t signal_value = 0;
    Pid target_thread = 0;         // 0: the process
    Ref<Thread> counted_thread;    // kThreadCpu

    void expire() override;

  private:
    void arm_for(Nanoseconds remaining);
    void send();
    bool counts_cpu_time() const { return clock_ == TimerClock::kProcessCpu || clock_ == TimerClock::kThreadCpu; }

    Process& process_;
    TimerClock clock_;
    int signal_;
    std::atomic<Nanoseconds> next_{0};      // on the timer's clock; 0: stopped
    std::atomic<Nanoseconds> interval_{0};
    std::atomic<int> overrun_{0};
};

struct ProcessTimers {
    explicit ProcessTimers(Process& process);

    core::Spinlock lock{core::Rank::kProcess};
    // ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF. The last two count all CPU time of the process.
    SignalTimer interval_timers[3];
    CpuLimit cpu_limit;
    core::Vector<std::unique_ptr<SignalTimer>> posix_timers;  // index is the id; null: free

    // At exec: timers of timer_create are gone, interval timers stay (setitimer(2), timer_create(2)).
    void delete_posix_timers();
    // At exit. Nothing expires afterwards.
    void stop_all();
};

// The process's timers, made if absent. ENOMEM.
Result<ProcessTimers*> timers_of(Process& process);

}  // namespace process
