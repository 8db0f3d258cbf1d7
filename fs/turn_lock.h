// A lock that is held across long work with poll points: a contender yields the processor instead of spinning.
#pragma once

#include <atomic>

namespace fs {

// Taken without a spinlock held, by threads only. The holder may be preempted but must not wait for anything
// that another holder would have to bring about.
class TurnLock {
  public:
    void lock() {
        while (held_.exchange(true, std::memory_order_acquire)) [[unlikely]] wait();
    }
    void unlock() { held_.store(false, std::memory_order_release); }

  private:
    static void wait();
    std::atomic<bool> held_{false};
};

class [[nodiscard]] TurnGuard {
  public:
    explicit TurnGuard(TurnLock& lock) : lock_(lock) { lock_.lock(); }
    TurnGuard(const TurnGuard&) = delete;
    ~TurnGuard() { lock_.unlock(); }

  private:
    TurnLock& lock_;
};

}  // namespace fs
