#include "core/lock.h"

#include <gtest/gtest.h>

#include <thread>

namespace {

using core::Spinlock;

TEST(Spinlock, TryLock) {
    Spinlock lock(core::Rank::kPipe);
    EXPECT_TRUE(lock.try_lock());
    EXPECT_TRUE(lock.is_locked());
    EXPECT_FALSE(lock.try_lock());
    lock.unlock();
    EXPECT_TRUE(lock.try_lock());
    lock.unlock();
}

// A holder that wants the lock back at once leaves it to one that has waited for long. If the host does not let that one
// run, the holder may have it after all: therefore not every time.
TEST(Spinlock, WhoWaitsForLongGoesFirst) {
    constexpr int kRounds = 10;
    int first = 0;
    for (int round = 0; round < kRounds; round++) {
        Spinlock lock(core::Rank::kPipe);
        bool had_it = false;
        lock.lock();
        std::thread waiter([&] {
            lock.lock();
            had_it = true;
            lock.unlock();
        });
        for (int i = 0; i < 1'000'000 && !lock.has_impatient(); i++) std::this_thread::yield();
        lock.unlock();
        lock.lock();
        first += had_it;
        lock.unlock();
        waiter.join();
        EXPECT_FALSE(lock.has_impatient());
    }
    EXPECT_GT(first, kRounds * 4 / 5);
}

TEST(Spinlock, OneHolderAtATime) {
    Spinlock lock(core::Rank::kPipe);
    long count = 0;
    auto work = [&] {
        for (int i = 0; i < 20'000; i++) {
            core::SpinGuard guard(lock);
            count++;
        }
    };
    std::thread threads[] = {std::thread(work), std::thread(work), std::thread(work)};
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(count, 60'000);
}

}  // namespace
