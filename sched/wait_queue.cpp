#include "sched/wait_queue.h"

#include "core/panic.h"

namespace sched {

namespace {

class ThreadWaiter final : public Waiter {
  public:
    ThreadWaiter(Thread& thread, bool exclusive) : Waiter(exclusive), thread_(thread) {}
    void wake(uint32_t) override { sched::wake(thread_); }

  private:
    Thread& thread_;
};

}  // namespace

WaitQueue::~WaitQueue() { ASSERT(waiters_.empty()); }

void WaitQueue::add(Waiter& waiter) {
    core::SpinGuard guard(lock_);
    // Exclusive waiters queue up behind the others, first come first served.
    if (waiter.exclusive()) waiters_.push_back(waiter);
    else waiters_.push_front(waiter);
    waiter.queue = this;
    has_waiters_.store(true);
}

void WaitQueue::remove(Waiter& waiter) {
    core::SpinGuard guard(lock_);
    if (!waiter.hook.is_linked()) return;
    waiters_.erase(waiters_.iterator_to(waiter));
    waiter.queue = nullptr;
    has_waiters_.store(!waiters_.empty());
}

void WaitQueue::wake(uint32_t events, unsigned exclusive_count) {
    if (!has_waiters_.load()) return;
    core::SpinGuard guard(lock_);
    wake_locked(events, exclusive_count);
}

void WaitQueue::wake_nested(uint32_t events, unsigned exclusive_count) {
    if (!has_waiters_.load()) return;
    core::SpinGuard guard(lock_, core::SpinGuard::Nested());
    wake_locked(events, exclusive_count);
}

void WaitQueue::wake_locked(uint32_t events, unsigned exclusive_count) {
    for (auto it = waiters_.begin(); it != waiters_.end();) {
        Waiter& waiter = *it++;
        if (!waiter.exclusive()) {
            waiter.wake(events);
            continue;
        }
        if (exclusive_count == 0) return;
        waiter.declined_ = false;
        waiter.wake(events);
        if (waiter.declined_ || --exclusive_count > 0) continue;
        // The next wake-up is for another one: this one may not have run by then.
        waiters_.erase(waiters_.iterator_to(waiter));
        waiters_.push_back(waiter);
        return;
    }
}

Wake WaitQueue::wait(core::SpinGuard& guard, core::Spinlock& lock, Nanoseconds deadline,
                     Interruptible interruptible, bool exclusive) {
    ThreadWaiter waiter(current(), exclusive);
    prepare_sleep(interruptible);
    add(waiter);
    guard.unlock();
    Wake outcome = sleep(deadline);
    remove(waiter);
    guard.relock(lock);
    return outcome;
}

}  // namespace sched
