// The policy: which runnable thread comes next on one processor. Pure data, tested on the host.
//
// Fair by weighted virtual runtime: a thread's clock runs slower the higher its weight (nice -20 to 19, a factor
// of 1.25 a step, as setpriority(2) users expect from Linux); the thread with the smallest clock runs next. A
// thread that slept does not keep its credit beyond half a slice.
#pragma once

#include <cstdint>

#include "core/intrusive.h"
#include "sched/thread.h"

namespace sched {

inline constexpr Nanoseconds kSliceNs = 4'000'000;
inline constexpr Nanoseconds kWakeupGranularityNs = 1'000'000;

struct ByVirtualRuntime {
    bool operator()(const Thread& a, const Thread& b) const {
        return static_cast<int64_t>(a.virtual_runtime - b.virtual_runtime) < 0;
    }
};

// Weight of a nice value; 1024 for 0.
uint32_t weight_of(int nice);

class RunQueue {
  public:
    // `thread` becomes eligible. A waking thread's clock is moved up to the queue's.
    enum class Reason : uint8_t { kPreempted, kWoken, kNew };
    void enqueue(Thread& thread, Reason reason);
    void dequeue(Thread& thread);
    // Removes and returns the next thread, or null.
    Thread* pick();
    // The last one in line that may run on `cpu`: what another processor should steal. Removes it. Or null.
    Thread* steal_for(unsigned cpu);
    // Adds `ran_ns` to the running thread's clock.
    void charge(Thread& thread, Nanoseconds ran_ns);
    // Should `waking` run instead of `running` now?
    bool preempts(const Thread& waking, const Thread& running) const;
    size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }

  private:
    core::MultiTree<Thread, &Thread::run_queue_hook, ByVirtualRuntime> tree_;
    uint64_t minimum_ = 0;  // never runs backwards
    size_t size_ = 0;
};

}  // namespace sched
