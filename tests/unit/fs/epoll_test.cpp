// epoll(7): level, edge, one-shot, exclusive, nesting, and files that go away.
#include "fs/events/epoll.h"

#include <gtest/gtest.h>

#include <vector>

#include "fs/events/eventfd.h"
#include "fs/events/poll_set.h"
#include "fs/events/timerfd.h"
#include "sched_host.h"

namespace {

using fs::Epoll;

class EpollTest : public testing::Test {
  protected:
    void SetUp() override { epoll = *Epoll::create(); }
    void TearDown() override { test_support::set_interrupted(false); }

    static Ref<fs::EventFd> make_counter(uint64_t count = 0) {
        return *core::make_ref<fs::EventFd>(count, fs::EventFd::Mode::kCounter, fs::kONonBlock);
    }
    static void add(fs::File& file, uint64_t value = 1) {
        fs::IoSegment segment{reinterpret_cast<uint64_t>(&value), sizeof value};
        auto source = fs::Source::kernel({&segment, 1});
        ASSERT_TRUE(file.write(source, nullptr));
    }
    static uint64_t take(fs::File& file) {
        uint64_t value = 0;
        fs::IoSegment segment{reinterpret_cast<uint64_t>(&value), sizeof value};
        auto destination = fs::Destination::kernel({&segment, 1});
        EXPECT_TRUE(file.read(destination, nullptr));
        return value;
    }
    // The data of the events, in order.
    std::vector<uint64_t> wait(Epoll& instance, size_t capacity = 8, Nanoseconds deadline = 0) {
        std::vector<fs::EpollEvent> events(capacity);
        auto count = instance.wait(UserOut<fs::EpollEvent>(reinterpret_cast<uint64_t>(events.data())), capacity, deadline);
        std::vector<uint64_t> data;
        for (size_t i = 0; count && i < *count; i++) data.push_back(events[i].data);
        return data;
    }
    std::vector<uint64_t> wait(size_t capacity = 8, Nanoseconds deadline = 0) { return wait(*epoll, capacity, deadline); }
    using Data = std::vector<uint64_t>;

    Ref<Epoll> epoll;
};

TEST_F(EpollTest, LevelReportsUntilRead) {
    auto counter = make_counter();
    ASSERT_TRUE(epoll->add(*counter, 3, {fs::kPollIn, 7}));
    EXPECT_EQ(wait(), Data{});
    add(*counter);
    EXPECT_EQ(wait(), Data{7});
    EXPECT_EQ(wait(), Data{7});
    take(*counter);
    EXPECT_EQ(wait(), Data{});
}

TEST_F(EpollTest, EdgeReportsEachChangeOnce) {
    auto counter = make_counter(1);
    ASSERT_TRUE(epoll->add(*counter, 3, {fs::kPollIn | fs::kEpollEdge, 7}));
    EXPECT_EQ(wait(), Data{7});
    EXPECT_EQ(wait(), Data{});
    add(*counter);
    EXPECT_EQ(wait(), Data{7});
    EXPECT_EQ(wait(), Data{});
}

TEST_F(EpollTest, OneShotIsDisarmedUntilModified) {
    auto counter = make_counter(1);
    ASSERT_TRUE(epoll->add(*counter, 3, {fs::kPollIn | fs::kEpollOneShot, 7}));
    EXPECT_EQ(wait(), Data{7});
    add(*counter);
    EXPECT_EQ(wait(), Data{});
    ASSERT_TRUE(epoll->modify(*counter, 3, {fs::kPollIn | fs::kEpollOneShot, 8}));
    EXPECT_EQ(wait(), Data{8});
    EXPECT_EQ(wait(), Data{});
}

TEST_F(EpollTest, AddAndRemoveErrors) {
    auto counter = make_counter();
    EXPECT_EQ(epoll->remove(*counter, 3).error(), Errno::kNoEnt);
    EXPECT_EQ(epoll->modify(*counter, 3, {fs::kPollIn, 0}).error(), Errno::kNoEnt);
    ASSERT_TRUE(epoll->add(*counter, 3, {fs::kPollIn, 0}));
    EXPECT_EQ(epoll->add(*counter, 3, {fs::kPollIn, 0}).error(), Errno::kExist);
    EXPECT_TRUE(epoll->add(*counter, 4, {fs::kPollIn, 0}));  // a duplicated descriptor is another item
    EXPECT_TRUE(epoll->remove(*counter, 3));
    EXPECT_EQ(epoll->add(*epoll, 5, {fs::kPollIn, 0}).error(), Errno::kInval);
    EXPECT_EQ(epoll->add(*counter, 6, {fs::kEpollExclusive | fs::kEpollOneShot | fs::kPollIn, 0}).error(), Errno::kInval);
    EXPECT_EQ(epoll->modify(*counter, 4, {fs::kEpollExclusive | fs::kPollIn, 0}).error(), Errno::kInval);
}

TEST_F(EpollTest, ReadyItemsTakeTurns) {
    auto a = make_counter(1), b = make_counter(1), c = make_counter(1);
    ASSERT_TRUE(epoll->add(*a, 1, {fs::kPollIn, 1}));
    ASSERT_TRUE(epoll->add(*b, 2, {fs::kPollIn, 2}));
    ASSERT_TRUE(epoll->add(*c, 3, {fs::kPollIn, 3}));
    EXPECT_EQ(wait(2), (Data{1, 2}));
    EXPECT_EQ(wait(2), (Data{3, 1}));
    EXPECT_EQ(wait(8), (Data{2, 3, 1}));
}

TEST_F(EpollTest, SleeperIsWoken) {
    auto counter = make_counter();
    ASSERT_TRUE(epoll->add(*counter, 3, {fs::kPollIn, 7}));
    test_support::on_sleep([&] { add(*counter); });
    EXPECT_EQ(wait(8, core::kNever), Data{7});
}

TEST_F(EpollTest, DeadlineAndSignal) {
    EXPECT_EQ(wait(8, sched::monotonic_ns() + 1000), Data{});
    test_support::set_interrupted(true);
    fs::EpollEvent event;
    auto result = epoll->wait(UserOut<fs::EpollEvent>(reinterpret_cast<uint64_t>(&event)), 1, core::kNever);
    EXPECT_EQ(result.error(), Errno::kIntr);
}

TEST_F(EpollTest, ClosedFileLeaves) {
    auto counter = make_counter(1);
    ASSERT_TRUE(epoll->add(*counter, 3, {fs::kPollIn, 7}));
    counter.reset();
    EXPECT_EQ(wait(), Data{});
}

TEST_F(EpollTest, ClosedInstanceLetsFilesLive) {
    auto counter = make_counter(1);
    ASSERT_TRUE(epoll->add(*counter, 3, {fs::kPollIn, 7}));
    epoll.reset();
    add(*counter);
    EXPECT_EQ(take(*counter), 2u);
}

TEST_F(EpollTest, BadBufferKeepsTheEvent) {
    auto counter = make_counter(1);
    ASSERT_TRUE(epoll->add(*counter, 3, {fs::kPollIn | fs::kEpollEdge, 7}));
    EXPECT_EQ(epoll->wait(UserOut<fs::EpollEvent>(16), 1, 0).error(), Errno::kFault);
    EXPECT_EQ(wait(), Data{7});
}

TEST_F(EpollTest, NestedInstanceIsReadable) {
    auto outer = *Epoll::create();
    auto counter = make_counter();
    ASSERT_TRUE(outer->add(*epoll, 4, {fs::kPollIn, 40}));
    ASSERT_TRUE(epoll->add(*counter, 3, {fs::kPollIn, 30}));
    EXPECT_EQ(wait(*outer), Data{});
    test_support::on_sleep([&] { add(*counter); });
    EXPECT_EQ(wait(*outer, 8, core::kNever), Data{40});
    EXPECT_EQ(wait(), Data{30});
    take(*counter);
    EXPECT_EQ(wait(*outer), Data{});
}

TEST_F(EpollTest, CirclesAndDeepNestingAreRefused) {
    auto b = *Epoll::create(), c = *Epoll::create();
    ASSERT_TRUE(epoll->add(*b, 1, {fs::kPollIn, 0}));
    ASSERT_TRUE(b->add(*c, 2, {fs::kPollIn, 0}));
    EXPECT_EQ(c->add(*epoll, 3, {fs::kPollIn, 0}).error(), Errno::kLoop);
    std::vector<Ref<Epoll>> chain{epoll};
    Result<void> added;
    for (int i = 0; i < 8 && added; i++) {
        auto above = *Epoll::create();
        added = above->add(*chain.back(), 1, {fs::kPollIn, 0});
        chain.push_back(above);
    }
    EXPECT_FALSE(added);
    EXPECT_EQ(added.error(), Errno::kLoop);
}

TEST_F(EpollTest, PollOfAnInstance) {
    auto counter = make_counter();
    ASSERT_TRUE(epoll->add(*counter, 3, {fs::kPollIn, 7}));
    fs::PollEntry entry{epoll, fs::kPollIn, 0};
    EXPECT_EQ(*fs::wait_for_files({&entry, 1}, 0), 0u);
    test_support::on_sleep([&] { add(*counter); });
    EXPECT_EQ(*fs::wait_for_files({&entry, 1}, core::kNever), 1u);
}

TEST_F(EpollTest, TimersTick) {
    auto timer = *core::make_ref<fs::TimerFd>(fs::TimerFd::Clock::kMonotonic, 1, fs::kONonBlock);
    ASSERT_TRUE(epoll->add(*timer, 3, {fs::kPollIn, 7}));
    timer->set({1000, 500}, false);
    EXPECT_EQ(wait(), Data{});
    EXPECT_EQ(wait(8, core::kNever), Data{7});
    test_support::advance_clock(1000);
    EXPECT_EQ(take(*timer), 3u);
    EXPECT_EQ(wait(), Data{});
    EXPECT_EQ(timer->get().interval, 500u);
    timer->set({0, 0}, false);
    test_support::advance_clock(10'000);
    EXPECT_EQ(wait(), Data{});
}

TEST_F(EpollTest, SemaphoreCountsDown) {
    auto counter = *core::make_ref<fs::EventFd>(2, fs::EventFd::Mode::kSemaphore, fs::kONonBlock);
    EXPECT_EQ(take(*counter), 1u);
    EXPECT_EQ(take(*counter), 1u);
    EXPECT_EQ(counter->poll(nullptr) & fs::kPollIn, 0u);
    uint64_t value = ~0ull;
    fs::IoSegment segment{reinterpret_cast<uint64_t>(&value), sizeof value};
    auto source = fs::Source::kernel({&segment, 1});
    EXPECT_EQ(counter->write(source, nullptr).error(), Errno::kInval);
}

}  // namespace
