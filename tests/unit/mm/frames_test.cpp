#include "mm/failing_allocations.h"
#include "mm/frame_contents.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "mm_host.h"

namespace {

using mm::Fill;
using State = mm::Frame::State;

class Frames : public testing::Test {
  protected:
    void SetUp() override { test_support::reset_memory(8192); }
};

TEST_F(Frames, EverySingleFrameIsGivenOnceAndComesBack) {
    uint64_t free_before = mm::memory_statistics().free_pages;
    std::set<uint64_t> seen;
    std::vector<core::Pfn> frames;
    while (auto frame = mm::allocate_frame(Fill::kUninitialized, State::kAnonymous)) {
        EXPECT_TRUE(seen.insert(frame->number()).second);
        EXPECT_NE(frame->number(), 0u);
        frames.push_back(*frame);
    }
    EXPECT_EQ(frames.size(), free_before);
    EXPECT_EQ(mm::memory_statistics().anonymous_pages, free_before);
    for (core::Pfn frame : frames) mm::unref_frame(frame);
    EXPECT_EQ(mm::memory_statistics().free_pages, free_before);
    EXPECT_EQ(mm::memory_statistics().anonymous_pages, 0u);
}

TEST_F(Frames, ZeroedMeansZeroed) {
    for (int i = 0; i < 100; i++) {
        auto frame = mm::allocate_frames(i % 4, Fill::kZeroed, State::kKernel);
        ASSERT_TRUE(frame);
        auto* bytes = mm::to_pointer<unsigned char>(*frame);
        for (size_t b = 0; b < (kPageSize << (i % 4)); b++) ASSERT_EQ(bytes[b], 0);
        memset(bytes, 0x5a, kPageSize << (i % 4));
        mm::free_frames(*frame, i % 4);
    }
}

TEST_F(Frames, AnEmptyTableServesAgainAndAUsedOneIsZeroed) {
    auto empty = *mm::allocate_frame(Fill::kZeroed, State::kPageTable);
    mm::free_frame(empty);
    EXPECT_EQ(*mm::allocate_frame(Fill::kZeroed, State::kPageTable), empty);
    for (unsigned round = 0; round < 100; round++) {
        auto table = *mm::allocate_frame(Fill::kZeroed, State::kPageTable);
        auto* words = mm::to_pointer<uint64_t>(table);
        for (unsigned i = 0; i < 512; i++) ASSERT_EQ(words[i], 0u);
        if (round % 2) continue;
        words[round] = 1;
        mm::frame_of(table).index = 1;
        mm::free_frame(table);
    }
}

TEST_F(Frames, KeptFramesCountAsFreeAndServeWhenMemoryIsShort) {
    uint64_t free_before = mm::memory_statistics().free_pages;
    for (auto content : {mm::Content::kZeroes, mm::Content::kConfinedTop, mm::Content::kIsolatedTop}) {
        std::vector<core::Pfn> frames;
        for (int i = 0; i < 100; i++) frames.push_back(mm::allocate_frame_with(content, State::kPageTable)->frame);
        for (core::Pfn frame : frames) mm::free_frame_with(frame, content);
        auto again = *mm::allocate_frame_with(content, State::kPageTable);
        EXPECT_TRUE(again.ready);
        mm::free_frame_with(again.frame, content);
    }
    EXPECT_EQ(mm::memory_statistics().free_pages, free_before);
    std::set<uint64_t> seen;
    while (auto frame = mm::allocate_frame(Fill::kUninitialized, State::kAnonymous)) {
        EXPECT_TRUE(seen.insert(frame->number()).second);
    }
    EXPECT_EQ(seen.size(), free_before);
    EXPECT_FALSE(mm::allocate_frame_with(mm::Content::kZeroes, State::kPageTable));
}

TEST_F(Frames, BlocksAreAlignedDisjointAndMergeAgain) {
    std::mt19937 random(1);
    struct Block { core::Pfn first; unsigned order; };
    std::vector<Block> blocks;
    std::set<uint64_t> used;
    uint64_t free_before = mm::memory_statistics().free_pages;
    for (int round = 0; round < 20000; round++) {
        if (blocks.empty() || random() % 5 < 3) {
            unsigned order = random() % (random() % 10 == 0 ? 9 : 3);
            auto first = mm::allocate_frames(order, Fill::kUninitialized, State::kKernel);
            if (!first) continue;
            EXPECT_EQ(first->number() % (uint64_t{1} << order), 0u);
            for (uint64_t i = 0; i < (uint64_t{1} << order); i++) EXPECT_TRUE(used.insert(first->number() + i).second);
            blocks.push_back({*first, order});
        } else {
            size_t victim = random() % blocks.size();
            for (uint64_t i = 0; i < (uint64_t{1} << blocks[victim].order); i++) {
                used.erase(blocks[victim].first.number() + i);
            }
            mm::free_frames(blocks[victim].first, blocks[victim].order);
            blocks.erase(blocks.begin() + victim);
        }
        ASSERT_EQ(mm::memory_statistics().free_pages, free_before - used.size());
    }
    for (Block& block : blocks) mm::free_frames(block.first, block.order);
    EXPECT_EQ(mm::memory_statistics().free_pages, free_before);
    // At most the frames that processors keep at hand prevent blocks from forming.
    unsigned large = 0;
    while (mm::allocate_frames(6, Fill::kUninitialized, State::kKernel)) large++;
    EXPECT_GE(large, 8192 / 64 - 50u);
}

TEST_F(Frames, ReservedRangesAreNeverGiven) {
    std::vector<std::byte> unused;
    mm::MemoryRange usable[] = {{PhysAddr(0x1000), PhysAddr(0x9f000)}, {PhysAddr(0x100000), PhysAddr(0x1000000)}};
    mm::MemoryRange reserved[] = {{PhysAddr(0x200800), PhysAddr(0x300001)}, {PhysAddr(0x1000000), PhysAddr(0x1100000)}};
    mm::initialize_frames(usable, reserved);
    EXPECT_TRUE(mm::is_ram(core::Pfn(0x1000)));
    EXPECT_FALSE(mm::is_ram(core::Pfn(0xa0)));
    EXPECT_EQ(mm::frame_of(core::Pfn(0x1000)).state, State::kReserved);
    while (auto frame = mm::allocate_frame(Fill::kUninitialized, State::kKernel)) {
        uint64_t address = frame->address().value();
        EXPECT_TRUE((address >= 0x1000 && address < 0x9f000) || (address >= 0x100000 && address < 0x200000) ||
                    (address >= 0x301000 && address < 0x1000000)) << std::hex << address;
    }
    mm::ref_frame(core::Pfn(0x1000));  // boot image: not counted
    mm::unref_frame(core::Pfn(0x1000));
    mm::unref_frame(core::Pfn(0x1000));
    EXPECT_EQ(mm::frame_of(core::Pfn(0x1000)).state, State::kReserved);
    test_support::reset_memory(8192);
}

TEST_F(Frames, ProcessorsShareWhatOneOfThemFrees) {
    std::vector<core::Pfn> frames;
    while (auto frame = mm::allocate_frame(Fill::kUninitialized, State::kKernel)) frames.push_back(*frame);
    for (core::Pfn frame : frames) mm::free_frame(frame);
    test_support::set_this_cpu(3);
    size_t got = 0;
    while (mm::allocate_frame(Fill::kUninitialized, State::kKernel)) got++;
    EXPECT_GE(got + 48, frames.size());  // all but what the first processor keeps
}

TEST_F(Frames, InjectedFailureHitsTheNthAllocationOnly) {
    mm::inject_allocation_failure(3);
    EXPECT_TRUE(mm::allocate_frame(Fill::kUninitialized, State::kKernel));
    EXPECT_TRUE(mm::allocate_frames(2, Fill::kUninitialized, State::kKernel));
    EXPECT_FALSE(mm::allocate_frame(Fill::kUninitialized, State::kKernel));
    EXPECT_TRUE(mm::allocate_frame(Fill::kUninitialized, State::kKernel));
}

TEST_F(Frames, EveryNthAllocationFailsForWhomItConcerns) {
    static bool concerns;
    auto succeeds = [] { return mm::allocate_frame(Fill::kUninitialized, State::kKernel).has_value(); };
    mm::fail_every(3, [] { return concerns; });
    concerns = false;
    for (int i = 0; i < 9; i++) EXPECT_TRUE(succeeds());
    EXPECT_FALSE(mm::failed_on_purpose());
    concerns = true;
    for (int i = 1; i <= 9; i++) {
        EXPECT_EQ(succeeds(), i % 3 != 0) << i;
        EXPECT_EQ(mm::failed_on_purpose(), i % 3 == 0);
        EXPECT_FALSE(mm::failed_on_purpose());  // asking forgets it
    }
    mm::inject_allocation_failure(0);
    for (int i = 0; i < 9; i++) EXPECT_TRUE(succeeds());
}

}  // namespace
