#include "core/lock_order.h"

#ifndef NDEBUG

namespace core {

void lock_order_acquire(Rank rank, const void* lock, bool same_rank_allowed) {
    HeldLocks& held = held_locks();
    for (unsigned i = 0; i < held.count; i++) {
        if (held.locks[i] == lock) PANIC("a spinlock is taken twice");
        if (held.ranks[i] < rank || (same_rank_allowed && held.ranks[i] == rank)) continue;
        PANIC("spinlocks are taken in a wrong order (core/lock.h, Rank)");
    }
    lock_order_acquire_by_try(rank, lock);
}

void lock_order_acquire_by_try(Rank rank, const void* lock) {
    HeldLocks& held = held_locks();
    if (held.count == HeldLocks::kMost) PANIC("too many spinlocks are held");
    held.locks[held.count] = lock;
    held.ranks[held.count++] = rank;
}

void lock_order_release(Rank, const void* lock) {
    HeldLocks& held = held_locks();
    for (unsigned i = held.count; i-- > 0;) {
        if (held.locks[i] != lock) continue;
        held.count--;
        for (; i < held.count; i++) {
            held.locks[i] = held.locks[i + 1];
            held.ranks[i] = held.ranks[i + 1];
        }
        return;
    }
    PANIC("a spinlock is released that is not held");
}

}  // namespace core

#endif
