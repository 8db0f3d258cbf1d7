#include "sched/run_queue.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>

namespace {

using sched::RunQueue;
using sched::Thread;

struct Threads {
    explicit Threads(size_t count) {
        for (size_t i = 0; i < count; i++) all.push_back(*core::make_ref<Thread>());
    }
    Thread& operator[](size_t i) { return *all[i]; }
    std::vector<Ref<Thread>> all;
};

// Runs the queue for `rounds` slices and returns how long each thread ran.
std::vector<uint64_t> run(RunQueue& queue, Threads& threads, int rounds) {
    std::vector<uint64_t> ran(threads.all.size());
    for (int i = 0; i < rounds; i++) {
        Thread* next = queue.pick();
        queue.charge(*next, sched::kSliceNs);
        for (size_t t = 0; t < ran.size(); t++) {
            if (&threads[t] == next) ran[t] += sched::kSliceNs;
        }
        queue.enqueue(*next, RunQueue::Reason::kPreempted);
    }
    while (queue.pick()) {}
    return ran;
}

TEST(RunQueue, EqualThreadsShareEqually) {
    Threads threads(3);
    RunQueue queue;
    for (auto& thread : threads.all) queue.enqueue(*thread, RunQueue::Reason::kNew);
    auto ran = run(queue, threads, 300);
    for (uint64_t time : ran) EXPECT_NEAR(static_cast<double>(time), 100.0 * sched::kSliceNs, sched::kSliceNs);
}

TEST(RunQueue, NiceStepsAreAFactorOfOneAndAQuarter) {
    EXPECT_EQ(sched::weight_of(0), 1024u);
    EXPECT_EQ(sched::weight_of(1), 819u);
    EXPECT_EQ(sched::weight_of(-1), 1280u);
    Threads threads(2);
    threads[1].nice = 5;
    RunQueue queue;
    for (auto& thread : threads.all) queue.enqueue(*thread, RunQueue::Reason::kNew);
    auto ran = run(queue, threads, 4000);
    EXPECT_NEAR(static_cast<double>(ran[0]) / static_cast<double>(ran[1]), 3.05, 0.1);
}

TEST(RunQueue, ASleeperKeepsAtMostHalfASlice) {
    Threads threads(2);
    RunQueue queue;
    queue.enqueue(threads[0], RunQueue::Reason::kNew);
    for (int i = 0; i < 100; i++) {
        Thread* next = queue.pick();
        queue.charge(*next, sched::kSliceNs);
        queue.enqueue(*next, RunQueue::Reason::kPreempted);
    }
    queue.enqueue(threads[1], RunQueue::Reason::kWoken);
    EXPECT_EQ(queue.pick(), &threads[1]);
    EXPECT_LE(threads[0].virtual_runtime - threads[1].virtual_runtime, sched::kSliceNs / 2 + sched::kSliceNs);
    queue.pick();
}

TEST(RunQueue, AWakingThreadPreemptsOnlyBeyondTheGranularity) {
    Threads threads(2);
    RunQueue queue;
    threads[0].virtual_runtime = 10 * sched::kWakeupGranularityNs;
    threads[1].virtual_runtime = threads[0].virtual_runtime - sched::kWakeupGranularityNs / 2;
    EXPECT_FALSE(queue.preempts(threads[1], threads[0]));
    threads[1].virtual_runtime = 0;
    EXPECT_TRUE(queue.preempts(threads[1], threads[0]));
}

TEST(RunQueue, StealingObeysAffinity) {
    Threads threads(2);
    threads[0].affinity = 1;  // processor 0 only
    threads[1].affinity = 3;
    RunQueue queue;
    queue.enqueue(threads[0], RunQueue::Reason::kNew);
    queue.enqueue(threads[1], RunQueue::Reason::kNew);
    EXPECT_EQ(queue.steal_for(1), &threads[1]);
    EXPECT_EQ(queue.steal_for(1), nullptr);
    EXPECT_EQ(queue.pick(), &threads[0]);
}

TEST(RunQueue, ClocksMayWrap) {
    Threads threads(2);
    RunQueue queue;
    threads[0].virtual_runtime = ~uint64_t{0} - 10;
    queue.enqueue(threads[0], RunQueue::Reason::kPreempted);
    threads[1].virtual_runtime = 5;  // 16 later
    queue.enqueue(threads[1], RunQueue::Reason::kPreempted);
    EXPECT_EQ(queue.pick(), &threads[0]);
    EXPECT_EQ(queue.pick(), &threads[1]);
}

}  // namespace
