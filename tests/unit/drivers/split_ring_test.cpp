#include <gtest/gtest.h>

#include <array>
#include <random>
#include <set>

#include "model_device.h"

namespace {

using drivers::virtio::SplitRing;
using model::DeviceRing;

class SplitRingTest : public testing::TestWithParam<uint16_t> {
  protected:
    void SetUp() override {
        memory_.resize(SplitRing::memory_size(GetParam()) + 64);
        base_ = memory_.data() + (64 - reinterpret_cast<uintptr_t>(memory_.data()) % 64) % 64;
        ASSERT_TRUE(ring_.initialize(base_, PhysAddr(reinterpret_cast<uint64_t>(base_)), GetParam()));
        device_ = DeviceRing(ring_);
    }
    Result<void> add_one(uint32_t token, uint32_t size = 100) {
        SplitRing::Piece piece{PhysAddr(0x1000 + token), size};
        return ring_.add({}, {&piece, 1}, token);
    }

    std::vector<std::byte> memory_;
    std::byte* base_ = nullptr;
    SplitRing ring_;
    DeviceRing device_;
};

TEST_P(SplitRingTest, ChainsReachTheDeviceInOrderWithTheirDirections) {
    if (GetParam() < 4) return;  // no room for these chains
    SplitRing::Piece read[] = {{PhysAddr(0x10), 1}, {PhysAddr(0x20), 2}};
    SplitRing::Piece write[] = {{PhysAddr(0x30), 3}};
    ASSERT_TRUE(ring_.add(read, write, 77));
    EXPECT_FALSE(device_.pop()) << "nothing is visible before publish()";
    EXPECT_TRUE(ring_.publish());
    EXPECT_FALSE(ring_.publish()) << "nothing new";
    auto chain = device_.pop();
    ASSERT_TRUE(chain);
    ASSERT_EQ(chain->readable.size(), 2u);
    ASSERT_EQ(chain->writable.size(), 1u);
    EXPECT_EQ(chain->readable[1].address, 0x20u);
    EXPECT_EQ(chain->readable[1].length, 2u);
    EXPECT_EQ(chain->writable[0].address, 0x30u);
    EXPECT_EQ(ring_.free_descriptors(), GetParam() - 3);
    device_.push(chain->head, 2);
    auto used = ring_.take();
    ASSERT_TRUE(used);
    EXPECT_EQ(used->token, 77u);
    EXPECT_EQ(used->written, 2u);
    EXPECT_EQ(ring_.free_descriptors(), GetParam());
}

TEST_P(SplitRingTest, IndicesWrapAroundSixteenBits) {
    for (uint32_t i = 0; i < 200'000; i++) {
        ASSERT_TRUE(add_one(i));
        (void)ring_.publish();
        auto chain = device_.pop();
        ASSERT_TRUE(chain);
        ASSERT_EQ(chain->writable[0].address, 0x1000u + i);
        device_.push(chain->head, i % 100);
        auto used = ring_.take();
        ASSERT_TRUE(used);
        ASSERT_EQ(used->token, i);
        ASSERT_EQ(used->written, i % 100);
    }
    EXPECT_FALSE(ring_.broken());
}

TEST_P(SplitRingTest, RandomChainsCompletedOutOfOrder) {
    std::mt19937 random(GetParam());
    std::vector<model::Chain> held;
    std::map<uint32_t, size_t> expected;  // token -> descriptors
    uint32_t next = 0;
    for (int step = 0; step < 50'000; step++) {
        if (random() % 2) {
            size_t count = 1 + random() % 4;
            std::array<SplitRing::Piece, 4> pieces;
            for (auto& piece : pieces) piece = {PhysAddr(0x1000 + next), 8};
            size_t readable = random() % (count + 1);
            auto added = ring_.add(std::span(pieces).first(readable), std::span(pieces).subspan(0, count - readable), next);
            size_t in_use = 0;
            for (auto [token, n] : expected) in_use += n;
            ASSERT_EQ(added.has_value(), in_use + count <= GetParam());
            if (added) expected[next++] = count;
        } else {
            (void)ring_.publish();
            while (auto chain = device_.pop()) held.push_back(*chain);
            if (held.empty()) continue;
            size_t pick = random() % held.size();
            device_.push(held[pick].head, 4);
            uint64_t address = (held[pick].readable.empty() ? held[pick].writable : held[pick].readable)[0].address;
            size_t count = held[pick].readable.size() + held[pick].writable.size();
            held.erase(held.begin() + static_cast<long>(pick));
            auto used = ring_.take();
            ASSERT_TRUE(used);
            ASSERT_EQ(used->token, address - 0x1000);
            ASSERT_EQ(expected[used->token], count);
            expected.erase(used->token);
        }
    }
}

TEST_P(SplitRingTest, FullRingSaysAgainAndRecovers) {
    for (uint32_t i = 0; i < GetParam(); i++) ASSERT_TRUE(add_one(i));
    EXPECT_EQ(add_one(999).error(), Errno::kAgain);
    (void)ring_.publish();
    device_.push(device_.pop()->head, 0);
    ASSERT_TRUE(ring_.take());
    EXPECT_TRUE(add_one(999));
}

TEST_P(SplitRingTest, MalformedUsedEntriesAreDroppedAndCounted) {
    ASSERT_TRUE(add_one(5));
    (void)ring_.publish();
    auto chain = device_.pop();
    device_.push(GetParam(), 1);  // no such descriptor
    EXPECT_FALSE(ring_.take());
    EXPECT_EQ(ring_.malformed_count(), 1u);
    device_.push(chain->head, 1);
    ASSERT_TRUE(ring_.take());
    // The same head again: not in flight any more, and more than is in flight.
    device_.push(chain->head, 1);
    EXPECT_FALSE(ring_.take());
    EXPECT_TRUE(ring_.broken());
    EXPECT_EQ(add_one(6).error(), Errno::kIo);
}

TEST_P(SplitRingTest, MiddleOfAChainIsNoHead) {
    if (GetParam() < 4) return;  // no room for these chains
    SplitRing::Piece pieces[] = {{PhysAddr(1), 1}, {PhysAddr(2), 1}};
    ASSERT_TRUE(ring_.add({}, pieces, 1));
    (void)ring_.publish();
    device_.push(device_.pop()->head + 1, 1);
    EXPECT_FALSE(ring_.take());
    EXPECT_EQ(ring_.malformed_count(), 1u);
}

TEST_P(SplitRingTest, WrittenLengthIsCutToWhatTheChainOffers) {
    ASSERT_TRUE(add_one(1, 100));
    (void)ring_.publish();
    device_.push(device_.pop()->head, 0xffff'ffff);
    EXPECT_EQ(ring_.take()->written, 100u);
    if (GetParam() < 2) return;
    SplitRing::Piece read{PhysAddr(0x10), 50};
    ASSERT_TRUE(ring_.add({&read, 1}, {}, 2));
    (void)ring_.publish();
    device_.push(device_.pop()->head, 50);
    EXPECT_EQ(ring_.take()->written, 0u) << "the device may not write what it may only read";
}

TEST_P(SplitRingTest, UsedIndexBeyondWhatIsInFlightBreaksTheRing) {
    ASSERT_TRUE(add_one(1));
    (void)ring_.publish();
    device_.set_used_index(0x8000);
    EXPECT_FALSE(ring_.take());
    EXPECT_TRUE(ring_.broken());
    EXPECT_FALSE(ring_.has_used());
}

TEST_P(SplitRingTest, HintsGoBothWays) {
    device_.want_notifications(false);
    ASSERT_TRUE(add_one(1));
    EXPECT_FALSE(ring_.publish());
    EXPECT_EQ(device_.available_index(), 1) << "published all the same";
    ring_.disable_interrupts();
    EXPECT_FALSE(device_.interrupts_wanted());
    EXPECT_FALSE(ring_.enable_interrupts());
    EXPECT_TRUE(device_.interrupts_wanted());
    device_.push(device_.pop()->head, 0);
    EXPECT_TRUE(ring_.enable_interrupts()) << "something came meanwhile";
}

INSTANTIATE_TEST_SUITE_P(Sizes, SplitRingTest, testing::Values(1, 2, 8, 128, 1024));

TEST(SplitRing, SizeMustBeAPowerOfTwo) {
    std::array<std::byte, 4096> memory;
    SplitRing ring;
    EXPECT_EQ(ring.initialize(memory.data(), PhysAddr(0), 0).error(), Errno::kInval);
    EXPECT_EQ(ring.initialize(memory.data(), PhysAddr(0), 12).error(), Errno::kInval);
    SplitRing::Piece none;
    alignas(64) std::array<std::byte, 4096> good{};
    ASSERT_TRUE(ring.initialize(good.data(), PhysAddr(0), 16));
    EXPECT_EQ(ring.add(std::span(&none, 0), std::span(&none, 0), 0).error(), Errno::kInval);
}

}  // namespace
