// Spinlocks with ranks, and data that can be reached only while its lock is held.
//
// The kernel runs with interrupts off (docs/architecture.md, "An interrupt-free kernel"): a spinlock need not
// save flags, and an interrupt handler, which only ever interrupts a program, the idle loop or a poll point,
// may take any lock. While it spins, a processor answers TLB-flush requests (spin_wait()), so that a holder
// that waits for a flush cannot deadlock with it. Nobody may block, poll or return to a program with a
// spinlock held. User copies are allowed under locks of a rank below kAddressSpace: a page fault never sleeps.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

#include "core/panic.h"

namespace core {

// Locks are taken in ascending rank; equal ranks only where a comment at the lock says in which order.
enum class Rank : uint8_t {
    kProcessTree = 10,  // pids, parents and children, sessions
    kProcess = 15,      // one process: signals, limits, timers
    kFileTable = 20,
    kDentry = 25,       // names in a directory
    kInode = 30,
    kEpoll = 34,        // one epoll instance; nested instances in ascending nesting depth
    kFile = 36,         // one open file's own state
    kFileWatch = 37,    // which epoll instances watch which files
    kSocket = 38,       // AF_UNIX pairs: lower address first
    kNet = 40,          // the network stack
    kPipe = 42,
    kDevice = 44,       // one device driver
    kFutex = 46,
    kSignal = 48,       // pending signals of one process
    kAddressSpace = 50,
    kPageCache = 54,
    kReverseMap = 56,
    kSignalFiles = 58,  // the list of open signalfds
    kWaitQueue = 60,    // an epoll's own queue is woken from under those it watches: ascending nesting depth
    kEpollReady = 62,   // ready lists of epoll instances: filled by wake-ups
    kTimer = 64,
    kRunQueue = 70,
    kTopTables = 74,    // an address space's top-level tables: the scheduler loads them
    kHeap = 80,
    kFrames = 84,
    kLog = 90,
};

// Called in every iteration of a spin: a pause, and service of TLB-flush requests to this processor.
// Defined by the architecture (arch/x86_64/shootdown.cpp) and by the host test support.
void spin_wait();

#ifndef NDEBUG
// Debug builds keep the ranks held by this processor and panic on a wrong order.
void lock_order_acquire(Rank rank, const void* lock, bool same_rank_allowed);
void lock_order_acquire_by_try(Rank rank, const void* lock);  // in any order: a try cannot deadlock
void lock_order_release(Rank rank, const void* lock);
#else
inline void lock_order_acquire(Rank, const void*, bool) {}
inline void lock_order_acquire_by_try(Rank, const void*) {}
inline void lock_order_release(Rank, const void*) {}
#endif

class Spinlock {
  public:
    constexpr explicit Spinlock(Rank rank) : rank_(rank) {}
    Spinlock(const Spinlock&) = delete;
    Spinlock& operator=(const Spinlock&) = delete;

    void lock() { acquire(false); }
    // For a second lock of the same rank, in an order that the caller's comment proves.
    void lock_nested() { acquire(true); }
    bool try_lock() {
        if (!take()) return false;
        lock_order_acquire_by_try(rank_, this);
        return true;
    }
    void unlock() {
        lock_order_release(rank_, this);
        held_.store(false, std::memory_order_release);
    }
    bool is_locked() const { return held_.load(std::memory_order_relaxed); }
    // Somebody has waited for long and is next.
    bool has_impatient() const { return impatient_.load(std::memory_order_relaxed) != 0; }

  private:
    void acquire(bool same_rank_allowed) {
        lock_order_acquire(rank_, this, same_rank_allowed);
        if (!take()) [[unlikely]] wait();
    }
    bool take() { return !has_impatient() && !held_.exchange(true, std::memory_order_acquire); }
    void wait();

    std::atomic<bool> held_{false};
    std::atomic<uint8_t> impatient_{0};  // processors, of at most kMaxCpus
    Rank rank_;
};

// Holds a Spinlock for a scope. unlock()/relock() serve waits (sched/wait_queue.h).
class [[nodiscard]] SpinGuard {
  public:
    explicit SpinGuard(Spinlock& lock) : lock_(&lock) { lock.lock(); }
    struct Nested {};
    SpinGuard(Spinlock& lock, Nested) : lock_(&lock) { lock.lock_nested(); }
    SpinGuard(SpinGuard&& other) : lock_(std::exchange(other.lock_, nullptr)) {}
    SpinGuard& operator=(SpinGuard&&) = delete;
    ~SpinGuard() { if (lock_) lock_->unlock(); }

    void unlock() { std::exchange(lock_, nullptr)->unlock(); }
    void relock(Spinlock& lock) { lock.lock(); lock_ = &lock; }
    bool holds(const Spinlock& lock) const { return lock_ == &lock; }

  private:
    Spinlock* lock_;
};

// Data and the lock that guards it: `auto queue = queue_.lock(); queue->push(...)`.
template <typename T, Rank kRank>
class Guarded {
  public:
    template <typename... Args>
    explicit Guarded(Args&&... args) : value_(std::forward<Args>(args)...) {}

    class [[nodiscard]] Access {
      public:
        T* operator->() const { return &owner_.value_; }
        T& operator*() const { return owner_.value_; }
        SpinGuard& guard() { return guard_; }
        Spinlock& mutex() { return owner_.lock_; }

      private:
        friend Guarded;
        explicit Access(Guarded& owner) : owner_(owner), guard_(owner.lock_) {}
        Guarded& owner_;
        SpinGuard guard_;
    };

    Access lock() { return Access(*this); }

  private:
    Spinlock lock_{kRank};
    T value_;
};

}  // namespace core
