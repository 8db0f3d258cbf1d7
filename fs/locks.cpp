#include "fs/locks.h"

#include "sched/thread.h"

namespace fs {

namespace {

using List = InodeLocks::List;

// Who waits for whom, for deadlock detection among POSIX locks. Taken inside an inode's lock.
struct BlockedOwner {
    core::ListHook hook;
    const void* owner;
    const void* waits_for;
};
constinit core::Spinlock blocked_lock{core::Rank::kFile};
core::List<BlockedOwner, &BlockedOwner::hook> blocked_owners;
constexpr unsigned kMaxChain = 10;  // as Linux' MAX_DEADLK_ITERATIONS

bool would_deadlock_locked(const void* owner, const void* waits_for) {
    for (unsigned i = 0; i < kMaxChain; i++) {
        if (waits_for == owner) return true;
        const void* next = nullptr;
        for (const BlockedOwner& blocked : blocked_owners) {
            if (blocked.owner == waits_for) next = blocked.waits_for;
        }
        if (!next) return false;
        waits_for = next;
    }
    return false;
}

bool conflicts(const RecordLock& lock, LockRange range, LockKind kind, const void* owner) {
    return lock.owner != owner && lock.range.overlaps(range) &&
           (lock.kind == LockKind::kExclusive || kind == LockKind::kExclusive);
}

RecordLock* find_conflict(List& list, LockRange range, LockKind kind, const void* owner) {
    for (RecordLock& lock : list) {
        if (conflicts(lock, range, kind, owner)) return &lock;
    }
    return nullptr;
}

Result<InodeLocks*> locks_of(Inode& inode) {
    if (InodeLocks* locks = inode.locks.load(std::memory_order_acquire)) return locks;
    auto fresh = TRY(core::make<InodeLocks>());
    InodeLocks* current = nullptr;
    if (inode.locks.compare_exchange_strong(current, fresh.get(), std::memory_order_acq_rel)) return fresh.release();
    return current;
}

// Applies a change of one owner's locks in `range`: what overlaps is cut or removed, neighbours of the same kind
// are merged. A change adds at most two locks, prepared by the caller; what is removed goes to `garbage`.
void apply(List& list, List& garbage, LockRange range, LockKind kind, const void* owner, int pid,
           std::unique_ptr<RecordLock>& spare, std::unique_ptr<RecordLock>& second_spare) {
    LockRange merged = range;
    for (auto it = list.begin(); it != list.end();) {
        RecordLock& lock = *it++;
        if (lock.owner != owner) continue;
        bool touches = kind == lock.kind && kind != LockKind::kNone &&
                       (range.start == 0 || lock.range.end >= range.start - 1) &&
                       (range.end == ~uint64_t{0} || lock.range.start <= range.end + 1);
        if (touches) {
            merged.start = std::min(merged.start, lock.range.start);
            merged.end = std::max(merged.end, lock.range.end);
        } else if (!lock.range.overlaps(range)) {
            continue;
        } else {
            if (lock.range.start < range.start) {
                if (lock.range.end > range.end) {
                    // Split: the tail becomes a lock of its own.
                    RecordLock* tail = second_spare.release();
                    tail->range = {range.end + 1, lock.range.end};
                    tail->kind = lock.kind;
                    tail->owner = owner;
                    tail->pid = lock.pid;
                    list.push_back(*tail);
                }
                lock.range.end = range.start - 1;
                continue;
            }
            if (lock.range.end > range.end) {
                lock.range.start = range.end + 1;
                continue;
            }
        }
        lock.hook.unlink();
        garbage.push_back(lock);
    }
    if (kind == LockKind::kNone) return;
    RecordLock* added = spare.release();
    added->range = merged;
    added->kind = kind;
    added->owner = owner;
    added->pid = pid;
    // In order of start, as F_GETLK reports the first.
    auto place = list.begin();
    while (place != list.end() && place->range.start <= merged.start) ++place;
    list.insert(place, *added);
}

void drop(List& list) {
    while (!list.empty()) {
        RecordLock* lock = &list.front();
        lock->hook.unlink();
        delete lock;
    }
}

// Removes all locks of `owner`; true if there were any.
bool remove_owner(List& list, const void* owner, List& garbage) {
    bool any = false;
    for (auto it = list.begin(); it != list.end();) {
        RecordLock& lock = *it++;
        if (lock.owner != owner) continue;
        lock.hook.unlink();
        garbage.push_back(lock);
        any = true;
    }
    return any;
}

enum class Deadlocks : bool { kIgnore, kDetect };

// Waits, if asked to, until nothing in `list` conflicts. The lock is held before and after.
Result<void> wait_for_turn(InodeLocks& locks, List& list, core::SpinGuard& guard, LockRange range, LockKind kind,
                           const void* owner, LockWait wait, Deadlocks deadlocks) {
    while (RecordLock* conflict = find_conflict(list, range, kind, owner)) {
        if (wait == LockWait::kNo) return fail(Errno::kAgain);
        BlockedOwner self{{}, owner, conflict->owner};
        if (deadlocks == Deadlocks::kDetect) {
            core::SpinGuard blocked_guard(blocked_lock, core::SpinGuard::Nested{});
            if (would_deadlock_locked(owner, conflict->owner)) return fail(Errno::kDeadlk);
            blocked_owners.push_back(self);
        }
        sched::Wake outcome =
            locks.released.wait(guard, locks.lock, core::kNever, sched::Interruptible::kYes);
        if (deadlocks == Deadlocks::kDetect) {
            core::SpinGuard blocked_guard(blocked_lock, core::SpinGuard::Nested{});
            self.hook.unlink();
        }
        if (outcome == sched::Wake::kInterrupted && find_conflict(list, range, kind, owner))
            return fail(Errno::kRestartSys);
    }
    return {};
}

}  // namespace

InodeLocks::~InodeLocks() {
    drop(records);
    drop(whole_files);
}

Result<void> set_record_lock(Inode& inode, LockRange range, LockKind kind, const void* owner, int pid,
                             LockWait wait) {
    if (kind == LockKind::kNone && !inode.locks.load(std::memory_order_acquire)) return {};
    InodeLocks& locks = *TRY(locks_of(inode));
    auto spare = TRY(core::make<RecordLock>()), second_spare = TRY(core::make<RecordLock>());
    List garbage;
    core::Defer free_garbage([&] { drop(garbage); });
    {
        core::SpinGuard guard(locks.lock);
        if (kind != LockKind::kNone) {
            TRY(wait_for_turn(locks, locks.records, guard, range, kind, owner, wait,
                              pid > 0 ? Deadlocks::kDetect : Deadlocks::kIgnore));
        }
        apply(locks.records, garbage, range, kind, owner, pid, spare, second_spare);
    }
    locks.released.wake_all();
    return {};
}

LockConflict find_record_conflict(Inode& inode, LockRange range, LockKind kind, const void* owner) {
    InodeLocks* locks = inode.locks.load(std::memory_order_acquire);
    if (!locks) return {};
    core::SpinGuard guard(locks->lock);
    RecordLock* conflict = find_conflict(locks->records, range, kind, owner);
    if (!conflict) return {};
    return {conflict->range, conflict->kind, conflict->pid};
}

Result<void> set_file_lock(Inode& inode, LockKind kind, const File& owner, LockWait wait) {
    if (kind == LockKind::kNone && !inode.locks.load(std::memory_order_acquire)) return {};
    InodeLocks& locks = *TRY(locks_of(inode));
    auto fresh = TRY(core::make<RecordLock>());
    List garbage;
    core::Defer free_garbage([&] { drop(garbage); });
    bool released = false;
    Result<void> outcome;
    {
        core::SpinGuard guard(locks.lock);
        for (RecordLock& lock : locks.whole_files) {
            if (lock.owner == &owner && lock.kind == kind) return {};
        }
        released = remove_owner(locks.whole_files, &owner, garbage);
        if (released && kind != LockKind::kNone) locks.released.wake_all();
        if (kind != LockKind::kNone) {
            outcome = wait_for_turn(locks, locks.whole_files, guard, LockRange{}, kind, &owner, wait,
                                    Deadlocks::kIgnore);
            if (outcome) {
                fresh->kind = kind;
                fresh->owner = &owner;
                locks.whole_files.push_back(*fresh.release());
            }
        }
    }
    if (released) locks.released.wake_all();
    return outcome;
}

void release_file_locks(Inode& inode, const File& owner) {
    InodeLocks* locks = inode.locks.load(std::memory_order_acquire);
    if (!locks) return;
    List garbage;
    {
        core::SpinGuard guard(locks->lock);
        remove_owner(locks->whole_files, &owner, garbage);
        remove_owner(locks->records, &owner, garbage);
    }
    if (garbage.empty()) return;
    drop(garbage);
    locks->released.wake_all();
}

void release_owner_locks(Inode& inode, const void* owner) {
    InodeLocks* locks = inode.locks.load(std::memory_order_acquire);
    if (!locks) return;
    List garbage;
    {
        core::SpinGuard guard(locks->lock);
        remove_owner(locks->records, owner, garbage);
    }
    if (garbage.empty()) return;
    drop(garbage);
    locks->released.wake_all();
}

}  // namespace fs
