// A waiter that wakes the thread which made it: for calls that sleep on several queues at once.
#pragma once

#include "sched/thread.h"
#include "sched/wait_queue.h"

namespace fs {

class ThreadWaiter final : public sched::Waiter {
  public:
    explicit ThreadWaiter(bool exclusive = false) : sched::Waiter(exclusive), thread_(sched::current()) {}
    void wake(uint32_t) override { sched::wake(thread_); }

  private:
    sched::Thread& thread_;
};

}  // namespace fs
