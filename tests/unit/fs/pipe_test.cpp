// Pipes: filling pattern, atomicity, ends, resizing, wake-ups (pipe(7)).
#include "fs/pipe.h"

#include <gtest/gtest.h>

#include <string>

#include "fs/events/poll_set.h"
#include "mm_host.h"
#include "sched_host.h"

namespace {

class PipeTest : public testing::Test {
  protected:
    void SetUp() override { open(0); }
    void TearDown() override { pair = {}; test_support::set_interrupted(false); }
    void open(uint32_t flags) {
        auto made = fs::create_pipe(flags);
        ASSERT_TRUE(made);
        pair = std::move(*made);
    }
    Result<size_t> write(std::string_view text) {
        fs::IoSegment segment{reinterpret_cast<uint64_t>(text.data()), text.size()};
        auto source = fs::Source::kernel({&segment, 1});
        return pair.write_end->write(source, nullptr);
    }
    Result<std::string> read(size_t size) {
        std::string text(size, '\0');
        fs::IoSegment segment{reinterpret_cast<uint64_t>(text.data()), size};
        auto destination = fs::Destination::kernel({&segment, 1});
        text.resize(TRY(pair.read_end->read(destination, nullptr)));
        return text;
    }
    fs::PipePair pair;
};

TEST_F(PipeTest, CarriesBytesInOrder) {
    EXPECT_EQ(*write("hello "), 6u);
    EXPECT_EQ(*write("world"), 5u);
    EXPECT_EQ(*read(4), "hell");
    EXPECT_EQ(*read(100), "o world");
}

TEST_F(PipeTest, MergesSmallWritesUpToItsSize) {
    open(fs::kONonBlock);
    size_t count = 0;
    while (write("x")) count++;
    EXPECT_EQ(count, fs::kPipeDefaultSize);
    EXPECT_EQ(write("x").error(), Errno::kAgain);
}

TEST_F(PipeTest, KeepsAWriteOfPipeBufInOnePage) {
    // 16 slots of 4095 bytes, because 4095 do not fit behind 4095 in a page: what Linux does.
    open(fs::kONonBlock);
    std::string record(4095, 'r');
    size_t count = 0;
    while (write(record)) count++;
    EXPECT_EQ(count, 16u);
    EXPECT_EQ(*write("1"), 1u);  // there is one byte behind the last record
    EXPECT_EQ(write("2").error(), Errno::kAgain);
}

TEST_F(PipeTest, WritesLargeDataPartly) {
    open(fs::kONonBlock);
    EXPECT_EQ(*write(std::string(100'000, 'a')), fs::kPipeDefaultSize);
    EXPECT_EQ(read(200'000)->size(), fs::kPipeDefaultSize);
}

TEST_F(PipeTest, BlockingWriterContinuesWhenThereIsRoom) {
    test_support::on_sleep([&] { EXPECT_EQ(read(65536)->size(), 65536u); });
    EXPECT_EQ(*write(std::string(70'000, 'b')), 70'000u);
    EXPECT_EQ(read(100'000)->size(), 70'000u - 65536u);
}

TEST_F(PipeTest, BlockingReaderGetsWhatComes) {
    test_support::on_sleep([&] { EXPECT_EQ(*write("late"), 4u); });
    EXPECT_EQ(*read(10), "late");
}

TEST_F(PipeTest, EndOfFileWhenTheWriterCloses) {
    write("rest").value();
    pair.write_end.reset();
    EXPECT_EQ(*read(10), "rest");
    EXPECT_EQ(*read(10), "");
    EXPECT_TRUE(pair.read_end->poll(nullptr) & fs::kPollHup);
}

TEST_F(PipeTest, ReaderIsWokenByTheCloseOfTheWriter) {
    test_support::on_sleep([&] { pair.write_end.reset(); });
    EXPECT_EQ(*read(10), "");
}

TEST_F(PipeTest, BrokenPipe) {
    pair.read_end.reset();
    EXPECT_EQ(write("x").error(), Errno::kPipe);
    EXPECT_TRUE(pair.write_end->poll(nullptr) & fs::kPollErr);
    EXPECT_EQ(*write(""), 0u);
}

TEST_F(PipeTest, WrongEnd) {
    std::swap(pair.read_end, pair.write_end);
    EXPECT_EQ(write("x").error(), Errno::kBadF);
    EXPECT_EQ(read(1).error(), Errno::kBadF);
}

TEST_F(PipeTest, SignalEndsAWait) {
    test_support::set_interrupted(true);
    EXPECT_EQ(read(1).error(), Errno::kRestartSys);
}

TEST_F(PipeTest, FaultInTheMiddleKeepsWhatWasNotRead) {
    write(std::string(4096, 'a')).value();
    write(std::string(4096, 'b')).value();
    std::string good(4096, '\0');
    fs::IoSegment segments[] = {{reinterpret_cast<uint64_t>(good.data()), good.size()}, {16, 4096}};
    auto destination = fs::Destination::user(segments);
    EXPECT_EQ(*pair.read_end->read(destination, nullptr), 4096u);
    EXPECT_EQ(*read(9000), std::string(4096, 'b'));
}

TEST_F(PipeTest, Resizes) {
    EXPECT_EQ(*fs::pipe_size(*pair.read_end), fs::kPipeDefaultSize);
    write(std::string(9000, 'x')).value();  // three pages
    EXPECT_EQ(fs::set_pipe_size(*pair.read_end, 8192, false).error(), Errno::kBusy);
    EXPECT_EQ(*fs::set_pipe_size(*pair.read_end, 12'289, false), 16'384u);
    EXPECT_EQ(*read(20'000), std::string(9000, 'x'));
    EXPECT_EQ(fs::set_pipe_size(*pair.read_end, 2 << 20, false).error(), Errno::kPerm);
    EXPECT_EQ(*fs::set_pipe_size(*pair.read_end, 0, false), 4096u);
    EXPECT_EQ(fs::set_pipe_size(*pair.read_end, size_t{1} << 32, true).error(), Errno::kInval);
}

TEST_F(PipeTest, PollSeesBothEnds) {
    EXPECT_EQ(pair.read_end->poll(nullptr), 0u);
    EXPECT_EQ(pair.write_end->poll(nullptr), fs::kPollOut | fs::kPollWrNorm);
    write("x").value();
    EXPECT_EQ(pair.read_end->poll(nullptr), fs::kPollIn | fs::kPollRdNorm);
}

TEST_F(PipeTest, PollSetWaits) {
    fs::PollEntry entries[2] = {{pair.read_end, fs::kPollIn, 0}, {nullptr, 0, 0}};
    EXPECT_EQ(*fs::wait_for_files(entries, 0), 0u);
    EXPECT_EQ(*fs::wait_for_files(entries, 2'000'000'000), 0u);  // the deadline passes
    test_support::on_sleep([&] { write("x").value(); });
    EXPECT_EQ(*fs::wait_for_files(entries, core::kNever), 1u);
    EXPECT_EQ(entries[0].ready, fs::kPollIn);
}

TEST_F(PipeTest, AllPagesComeBack) {
    uint64_t before = mm::memory_statistics().free_pages;
    {
        auto other = fs::create_pipe(0);
        ASSERT_TRUE(other);
        std::swap(pair, *other);
        write(std::string(30'000, 'x')).value();
        read(5000).value();
        std::swap(pair, *other);
    }
    // Caches of single frames may keep some: what counts is that repetition takes no more.
    uint64_t once = mm::memory_statistics().free_pages;
    for (int i = 0; i < 50; i++) {
        auto other = fs::create_pipe(0);
        ASSERT_TRUE(other);
        std::swap(pair, *other);
        write(std::string(30'000, 'x')).value();
        std::swap(pair, *other);
    }
    EXPECT_GE(mm::memory_statistics().free_pages + 8, once);
    EXPECT_LE(once, before + 8);
}

TEST_F(PipeTest, EveryAllocationMayFail) {
    uint64_t allocations = test_support::fail_each_allocation([&] {
        auto other = fs::create_pipe(0);
        if (!other) return false;
        std::swap(pair, *other);
        bool written = bool(write(std::string(5000, 'x')));
        std::swap(pair, *other);
        return written;
    });
    EXPECT_GT(allocations, 2u);
}

}  // namespace
