#include "process/futex.h"

#include "arch/x86_64/user_copy.h"
#include "sched/wait_queue.h"

namespace process {

namespace {

using Key = mm::AddressSpace::FutexKey;

struct Bucket;

struct Waiter {
    core::ListHook hook;
    sched::Thread* thread = nullptr;
    Key key{};
    uint32_t bitset = 0;
    std::atomic<Bucket*> bucket{nullptr};  // requeueing moves a waiter; null once woken
};

struct Bucket {
    core::Spinlock lock{core::Rank::kFutex};
    core::List<Waiter, &Waiter::hook> waiters;
};

constexpr size_t kBuckets = 256;
Bucket buckets[kBuckets];

Bucket& bucket_of(const Key& key) {
    uint64_t hash = (reinterpret_cast<uint64_t>(key.object) ^ key.offset * 0x9e37'79b9'7f4a'7c15) *
                    0xff51'afd7'ed55'8ccd;
    return buckets[hash >> 56];
}

Result<Key> key_of(UserAddr address, mm::Sharing sharing) {
    if (!core::is_aligned(address.value(), 4)) return fail(Errno::kInval);
    return current_thread().address_space->futex_key(address, sharing);
}

// Takes the waiter's current bucket, following it if it is moved meanwhile. False if it has been woken.
bool lock_own_bucket(Waiter& waiter, Bucket*& locked) {
    for (;;) {
        Bucket* bucket = waiter.bucket.load();
        if (!bucket) return false;
        bucket->lock.lock();
        if (waiter.bucket.load() == bucket) {
            locked = bucket;
            return true;
        }
        bucket->lock.unlock();
    }
}

void wake_locked(Bucket& bucket, Waiter& waiter) {
    bucket.waiters.erase(bucket.waiters.iterator_to(waiter));
    // The waiter may return and vanish as soon as its bucket is null; a reference keeps the thread for wake().
    Ref<sched::Thread> thread(waiter.thread);
    waiter.bucket.store(nullptr);
    sched::wake(*thread);
}

size_t wake_matching_locked(Bucket& bucket, const Key& key, uint32_t count, uint32_t bitset) {
    size_t woken = 0;
    for (auto it = bucket.waiters.begin(); it != bucket.waiters.end() && woken < count;) {
        Waiter& waiter = *it++;
        if (!(waiter.key == key) || !(waiter.bitset & bitset)) continue;
        wake_locked(bucket, waiter);
        woken++;
    }
    return woken;
}

// Two buckets in the order of their addresses; they may be the same.
class BucketPair {
  public:
    BucketPair(Bucket& a, Bucket& b) : low_(&a < &b ? a : b), high_(&a < &b ? b : a) {
        low_.lock.lock();
        if (&low_ != &high_) high_.lock.lock_nested();
    }
    ~BucketPair() {
        if (&low_ != &high_) high_.lock.unlock();
        low_.lock.unlock();
    }

  private:
    Bucket &low_, &high_;
};

constexpr int32_t sign_extend_12(uint32_t value) { return static_cast<int32_t>(value << 20) >> 20; }

}  // namespace

Result<void> futex_wait(UserAddr address, mm::Sharing sharing, uint32_t expected, uint32_t bitset,
                        Nanoseconds deadline) {
    if (bitset == 0) return fail(Errno::kInval);
    Key key = TRY(key_of(address, sharing));
    Waiter waiter;
    waiter.thread = &sched::current();
    waiter.key = key;
    waiter.bitset = bitset;
    Bucket& bucket = bucket_of(key);
    {
        core::SpinGuard guard(bucket.lock);
        uint32_t value = TRY(arch::user_load32(address));
        if (value != expected) return fail(Errno::kAgain);
        waiter.bucket.store(&bucket);
        bucket.waiters.push_back(waiter);
        sched::prepare_sleep(sched::Interruptible::kYes);
    }
    sched::Wake outcome = sched::sleep(deadline);
    for (;;) {
        Bucket* locked;
        if (!lock_own_bucket(waiter, locked)) return {};
        bool over = outcome != sched::Wake::kWoken;
        if (over) locked->waiters.erase(locked->waiters.iterator_to(waiter));
        else sched::prepare_sleep(sched::Interruptible::kYes);  // woken by something else: sleep on
        locked->lock.unlock();
        if (over) return fail(outcome == sched::Wake::kTimeout ? Errno::kTimedOut : Errno::kRestartSys);
        outcome = sched::sleep(deadline);
    }
}

Result<size_t> futex_wake(UserAddr address, mm::Sharing sharing, uint32_t count, uint32_t bitset) {
    if (bitset == 0) return fail(Errno::kInval);
    Key key = TRY(key_of(address, sharing));
    Bucket& bucket = bucket_of(key);
    core::SpinGuard guard(bucket.lock);
    return wake_matching_locked(bucket, key, count, bitset);
}

Result<size_t> futex_requeue(UserAddr from, UserAddr to, mm::Sharing sharing, uint32_t wake_count,
                             uint32_t move_count, const uint32_t* expected) {
    Key from_key = TRY(key_of(from, sharing)), to_key = TRY(key_of(to, sharing));
    Bucket &source = bucket_of(from_key), &target = bucket_of(to_key);
    BucketPair pair(source, target);
    if (expected) {
        uint32_t value = TRY(arch::user_load32(from));
        if (value != *expected) return fail(Errno::kAgain);
    }
    size_t woken = wake_matching_locked(source, from_key, wake_count, kFutexMatchAny);
    size_t moved = 0;
    if (!(from_key == to_key)) {
        for (auto it = source.waiters.begin(); it != source.waiters.end() && moved < move_count;) {
            Waiter& waiter = *it++;
            if (!(waiter.key == from_key)) continue;
            source.waiters.erase(source.waiters.iterator_to(waiter));
            waiter.key = to_key;
            target.waiters.push_back(waiter);
            waiter.bucket.store(&target);
            moved++;
        }
    }
    return woken + moved;
}

Result<size_t> futex_wake_op(UserAddr first, UserAddr second, mm::Sharing sharing, uint32_t wake_first,
                             uint32_t wake_second, uint32_t operation) {
    Key first_key = TRY(key_of(first, sharing)), second_key = TRY(key_of(second, sharing));
    uint32_t code = operation >> 28 & 7, comparison = operation >> 24 & 15;
    int32_t operand = sign_extend_12(operation >> 12 & 0xfff), compared = sign_extend_12(operation & 0xfff);
    if (operation >> 31) operand = static_cast<int32_t>(1u << (operand & 31));  // FUTEX_OP_OPARG_SHIFT
    if (code > 4 || comparison > 5) return fail(Errno::kNoSys);
    Bucket &one = bucket_of(first_key), &two = bucket_of(second_key);
    BucketPair pair(one, two);
    auto old = static_cast<int32_t>(TRY(arch::user_fetch_op32(second, code, static_cast<uint32_t>(operand))));
    size_t woken = wake_matching_locked(one, first_key, wake_first, kFutexMatchAny);
    const bool outcomes[] = {old == compared, old != compared, old < compared,
                             old <= compared, old > compared,  old >= compared};
    if (outcomes[comparison]) woken += wake_matching_locked(two, second_key, wake_second, kFutexMatchAny);
    return woken;
}

namespace {

constexpr uint32_t kOwnerDied = 0x4000'0000, kWaiters = 0x8000'0000, kTidMask = 0x3fff'ffff;
constexpr unsigned kRobustLimit = 2048;

// struct robust_list_head (include/uapi/linux/futex.h).
struct RobustListHead {
    uint64_t first;
    int64_t futex_offset;
    uint64_t pending;
};

void owner_died(Thread& thread, uint64_t entry, int64_t offset, bool pending) {
    UserAddr word((entry & ~uint64_t{1}) + static_cast<uint64_t>(offset));
    auto value = arch::user_load32(word);
    while (value) {
        // A lock that was being released when the thread died: its waiter may have nobody to wake it.
        if (pending && *value == 0) {
            (void)futex_wake(word, mm::Sharing::kShared, 1);
            return;
        }
        if ((*value & kTidMask) != static_cast<uint32_t>(thread.tid)) return;
        auto seen = arch::user_compare_exchange32(word, *value, (*value & kWaiters) | kOwnerDied);
        if (!seen) return;
        if (*seen == *value) {
            if (*value & kWaiters) (void)futex_wake(word, mm::Sharing::kShared, 1);
            return;
        }
        value = seen;
    }
}

}  // namespace

void exit_robust_list(Thread& thread) {
    if (!thread.robust_list) return;
    auto head = arch::copy_in(UserIn<RobustListHead>(thread.robust_list));
    if (!head) return;
    uint64_t entry = head->first;
    for (unsigned i = 0; i < kRobustLimit && (entry & ~uint64_t{1}) != thread.robust_list; i++) {
        auto next = arch::copy_in(UserIn<uint64_t>(entry & ~uint64_t{1}));
        if (entry != head->pending) owner_died(thread, entry, head->futex_offset, false);
        if (!next) return;
        entry = *next;
    }
    if (head->pending) owner_died(thread, head->pending, head->futex_offset, true);
}

}  // namespace process
