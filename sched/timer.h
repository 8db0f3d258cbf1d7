// One-shot timers on the monotonic clock, and the clocks. Tickless: each processor's timer interrupt is set to
// its earliest deadline.
#pragma once

#include <atomic>

#include "core/intrusive.h"
#include "core/types.h"

namespace sched {

// Calls `expire()` once at or after its deadline, from an interrupt (any processor, no lock held).
class Timer {
  public:
    Timer() = default;
    Timer(const Timer&) = delete;
    virtual void expire() = 0;
    void arm(Nanoseconds deadline);  // re-arms if already armed
    // After it returns, expire() is neither running nor will run. Must not be called under a lock that
    // expire() takes.
    void cancel();
    bool armed() const { return armed_; }
    Nanoseconds deadline() const { return deadline_; }

    core::TreeHook hook;
    Nanoseconds deadline_ = core::kNever;
    unsigned cpu_ = 0;
    std::atomic<bool> armed_{false}, running_{false};

  protected:
    ~Timer() { cancel(); }
};

// CLOCK_MONOTONIC (equals CLOCK_BOOTTIME here) since boot, and the offset that makes it CLOCK_REALTIME.
Nanoseconds monotonic_ns();
Nanoseconds realtime_offset_ns();
void set_realtime(Nanoseconds realtime_ns);  // clock_settime; timers on CLOCK_REALTIME follow
// CPU time of a thread so far, the current slice included.
class Thread;
Nanoseconds thread_cpu_ns(const Thread& thread);

}  // namespace sched
