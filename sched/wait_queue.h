// Wait queues: who wants to know when an object's state changes.
//
// A thread that waits for a condition guarded by a spinlock:
//     SpinGuard guard(lock_);
//     while (!condition) {
//         switch (readers_.wait(guard, lock_, deadline, Interruptible::kYes)) { ... }
//     }
// poll, select and epoll instead register a callback Waiter with each file's queue (fs/poll.h).
#pragma once

#include "core/intrusive.h"
#include "core/lock.h"
#include "core/types.h"
#include "sched/thread.h"

namespace sched {

class WaitQueue;

// Something that is told of wake-ups. wake() runs under the queue's lock (rank kWaitQueue): it may wake threads
// and set flags, no more. Unlink with WaitQueue::remove() before destruction.
class Waiter {
  public:
    explicit Waiter(bool exclusive = false) : exclusive_(exclusive) {}
    virtual void wake(uint32_t events) = 0;
    core::ListHook hook;
    WaitQueue* queue = nullptr;
    bool exclusive() const { return exclusive_; }

  protected:
    ~Waiter() = default;
    // From an exclusive waiter's wake(): nobody was woken, let the next one have it.
    void decline() { declined_ = true; }

  private:
    friend class WaitQueue;
    bool exclusive_;
    bool declined_ = false;  // under the queue's lock
};

class WaitQueue {
  public:
    WaitQueue() = default;
    WaitQueue(const WaitQueue&) = delete;
    ~WaitQueue();

    // Releases `guard`, sleeps until a wake-up, the deadline or (if interruptible) a signal, takes the lock again.
    // Spurious returns of kWoken are possible: test the condition in a loop.
    Wake wait(core::SpinGuard& guard, core::Spinlock& lock, Nanoseconds deadline, Interruptible interruptible,
              bool exclusive = false);

    // `events` are POLLIN etc. (0: any). All non-exclusive waiters are told, and up to `exclusive_count`
    // exclusive ones. Cheap if nobody waits (one load).
    void wake_all(uint32_t events = 0) { wake(events, ~0u); }
    void wake_one(uint32_t events = 0) { wake(events, 1); }
    void wake(uint32_t events, unsigned exclusive_count);
    // The same from inside a Waiter::wake(), under another queue's lock (epoll instances that watch each other:
    // never in a circle, see fs/events/epoll.h).
    void wake_nested(uint32_t events, unsigned exclusive_count);

    void add(Waiter& waiter);
    void remove(Waiter& waiter);  // no effect if not linked
    bool empty() const { return !has_waiters_.load(); }

  private:
    void wake_locked(uint32_t events, unsigned exclusive_count);

    core::Spinlock lock_{core::Rank::kWaitQueue};
    core::List<Waiter, &Waiter::hook> waiters_;
    std::atomic<bool> has_waiters_{false};
};

}  // namespace sched
