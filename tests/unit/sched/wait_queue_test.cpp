#include "sched/wait_queue.h"

#include <gtest/gtest.h>

#include <vector>

#include "sched_host.h"

namespace {

struct Recorder final : sched::Waiter {
    Recorder(std::vector<int>& log, int id, bool exclusive = false) : Waiter(exclusive), log_(log), id_(id) {}
    void wake(uint32_t) override { log_.push_back(id_); }
    std::vector<int>& log_;
    int id_;
};

TEST(WaitQueue, WakesAllOthersAndAsManyExclusiveOnesAsAsked) {
    sched::WaitQueue queue;
    std::vector<int> log;
    Recorder exclusive1(log, 1, true), exclusive2(log, 2, true), plain(log, 3);
    queue.add(exclusive1);
    queue.add(exclusive2);
    queue.add(plain);
    queue.wake_one();
    EXPECT_EQ(log, (std::vector<int>{3, 1}));
    log.clear();
    queue.wake_all();
    EXPECT_EQ(log, (std::vector<int>{3, 2, 1}));  // who was woken last comes last
    for (Recorder* waiter : {&exclusive1, &exclusive2, &plain}) queue.remove(*waiter);
    queue.remove(plain);  // no effect
    EXPECT_TRUE(queue.empty());
}

TEST(WaitQueue, DeclinedWakeUpGoesToTheNext) {
    struct Busy final : sched::Waiter {
        Busy() : Waiter(true) {}
        void wake(uint32_t) override { decline(); }
    };
    sched::WaitQueue queue;
    std::vector<int> log;
    Busy busy;
    Recorder idle(log, 1, true), other(log, 2, true);
    queue.add(busy);
    queue.add(idle);
    queue.add(other);
    queue.wake_one();
    EXPECT_EQ(log, std::vector<int>{1});
    queue.remove(busy);
    queue.remove(idle);
    queue.remove(other);
}

TEST(WaitQueue, WaitReleasesTheLockAndTakesItAgain) {
    sched::WaitQueue queue;
    core::Spinlock lock(core::Rank::kPipe);
    bool ready = false;
    test_support::on_sleep([&] {
        EXPECT_FALSE(lock.is_locked());
        ready = true;
        queue.wake_all();
    });
    core::SpinGuard guard(lock);
    while (!ready) EXPECT_EQ(queue.wait(guard, lock, core::kNever, sched::Interruptible::kYes), sched::Wake::kWoken);
    EXPECT_TRUE(guard.holds(lock));
    EXPECT_TRUE(queue.empty());
}

TEST(WaitQueue, WaitEndsAtTheDeadlineOrBySignal) {
    sched::WaitQueue queue;
    core::Spinlock lock(core::Rank::kPipe);
    core::SpinGuard guard(lock);
    test_support::set_clock(5);
    EXPECT_EQ(queue.wait(guard, lock, 1000, sched::Interruptible::kYes), sched::Wake::kTimeout);
    test_support::set_interrupted(true);
    EXPECT_EQ(queue.wait(guard, lock, core::kNever, sched::Interruptible::kYes), sched::Wake::kInterrupted);
    test_support::set_interrupted(false);
}

}  // namespace
