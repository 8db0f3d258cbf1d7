// Futexes (futex(2)): waiting for a word of a program's memory to change.
//
// Waiters hang in hashed buckets (Rank::kFutex), keyed by mm::AddressSpace::FutexKey; a waiter lives on its thread's
// stack, so no call allocates. The word is read and written under the bucket's lock: no wake-up is lost.
#pragma once

#include <cstdint>

#include "mm/address_space.h"
#include "process/process.h"

namespace process {

inline constexpr uint32_t kFutexMatchAny = ~0u;

// Sleeps while the word is `expected`, until a wake-up whose bit set meets `bitset`, the deadline (monotonic), or a
// signal (kRestartSys). EAGAIN: the word differs. EFAULT, ETIMEDOUT.
Result<void> futex_wait(UserAddr address, mm::Sharing sharing, uint32_t expected, uint32_t bitset,
                        Nanoseconds deadline);
// Wakes up to `count` waiters; returns how many. EFAULT.
Result<size_t> futex_wake(UserAddr address, mm::Sharing sharing, uint32_t count, uint32_t bitset = kFutexMatchAny);
// FUTEX_REQUEUE and FUTEX_CMP_REQUEUE: wakes `wake_count` waiters of `from` and moves up to `move_count` others to
// `to`. With `expected`, EAGAIN if the word differs. Returns woken + moved (moved only if not comparing: see futex(2)).
Result<size_t> futex_requeue(UserAddr from, UserAddr to, mm::Sharing sharing, uint32_t wake_count,
                             uint32_t move_count, const uint32_t* expected);
// FUTEX_WAKE_OP: changes `second` by `operation` (FUTEX_OP()), wakes waiters of `first`, and of `second` if its old
// value passes the comparison. Returns all woken. ENOSYS: unknown operation.
Result<size_t> futex_wake_op(UserAddr first, UserAddr second, mm::Sharing sharing, uint32_t wake_first,
                             uint32_t wake_second, uint32_t operation);

// At a thread's exit, in its own address space: marks the robust locks that it holds as FUTEX_OWNER_DIED and wakes a
// waiter of each (get_robust_list(2)). A malformed list ends the walk.
void exit_robust_list(Thread& thread);

}  // namespace process
