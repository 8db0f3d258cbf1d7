// The one lock of the network stack (Rank::kNet) and what must happen whenever it is left.
#pragma once

#include "core/lock.h"
#include "core/types.h"
#include "sched/wait_queue.h"

namespace net {

// Holds the stack for a scope. lwIP's functions and all state of inet sockets are reached only while one lives.
// On release, packets that the stack sent to itself are delivered (loopback), and packets that the device could
// not take are offered again. No allocation limit applies, but nobody may sleep except through wait().
class [[nodiscard]] StackLock {
  public:
    StackLock();
    ~StackLock();
    StackLock(const StackLock&) = delete;

    // Releases the stack, sleeps on `queue` until a wake-up, `deadline` or a signal, takes the stack again.
    // Wake-ups may be spurious. `exclusive`: one of several such sleepers is woken at a time (accept).
    sched::Wake wait(sched::WaitQueue& queue, Nanoseconds deadline, bool exclusive = false);

  private:
    static void settle();
    core::SpinGuard guard_;
};

// For assertions of lwIP: is the lock held by anybody.
bool stack_locked();

}  // namespace net
