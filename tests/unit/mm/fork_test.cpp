#include <gtest/gtest.h>

#include <random>

#include "space_fixture.h"

namespace {

using namespace mm;

constexpr Protection kR{true, false, false}, kRw{true, true, false};

class Fork : public SpaceFixture {};

TEST_F(Fork, ChildAndParentWriteToTheirOwnPages) {
    UserAddr at = map(3, kRw);
    write(at, 1);
    write(at + kPageSize, 2);
    auto child = *space->fork();
    EXPECT_EQ(read_from(*child, at), 1);
    EXPECT_EQ(memory_statistics().anonymous_pages, 2u);
    write_to(*child, at, 10);
    write(at + kPageSize, 20);
    EXPECT_EQ(read(at), 1);
    EXPECT_EQ(read_from(*child, at), 10);
    EXPECT_EQ(read(at + kPageSize), 20);
    EXPECT_EQ(read_from(*child, at + kPageSize), 2);
    EXPECT_EQ(memory_statistics().anonymous_pages, 4u);
    write(at, 5);  // the last owner keeps its page
    EXPECT_EQ(memory_statistics().anonymous_pages, 4u);
    child = nullptr;
    EXPECT_EQ(memory_statistics().anonymous_pages, 2u);
    EXPECT_EQ(read(at), 5);
}

TEST_F(Fork, ParentsWritePermissionsAreFlushed) {
    UserAddr at = map(3, kRw);
    write(at, 1);
    space->activate();
    test_support::take_flushes();
    auto child = *space->fork();
    auto flushes = test_support::take_flushes();
    ASSERT_EQ(flushes.size(), 1u);
    EXPECT_EQ(flushes[0].cpus, 1u);
    EXPECT_FALSE(walker::look_up(test_support::loaded_table(0).value(), at.value()).writable);
    space->deactivate();
}

TEST_F(Fork, SharedMemoryStaysShared) {
    UserAddr at = *space->map({.size = 2 * kPageSize, .protection = kRw, .sharing = Sharing::kShared});
    auto child = *space->fork();
    write_to(*child, at + kPageSize, 7);
    EXPECT_EQ(read(at + kPageSize), 7);
    child = nullptr;
    EXPECT_EQ(read(at + kPageSize), 7);
}

TEST_F(Fork, PagesOfFilesComeAlongWithFewPrivateOnes) {
    TestFile file(4 * kPageSize);
    UserAddr at = *space->map({.size = 4 * kPageSize, .protection = kRw, .object = file.object});
    for (uint64_t page = 0; page < 4; page++) EXPECT_EQ(read(at + page * kPageSize), page + 1);
    write(at, 100);
    auto child = *space->fork();
    EXPECT_EQ(child->sizes().resident_pages, 4u);  // before it has touched any
    EXPECT_EQ(child->sizes().shared_pages, 3u);
    write_to(*child, at, 101);
    write_to(*child, at + kPageSize, 102);
    EXPECT_EQ(read(at), 100);
    EXPECT_EQ(read(at + kPageSize), 2);
    child = nullptr;
    EXPECT_EQ(read(at), 100);
    EXPECT_EQ(read(at + 3 * kPageSize), 4);
}

TEST_F(Fork, PagesOfFilesAloneAreLeftToFaults) {
    TestFile file(4 * kPageSize);
    UserAddr at = *space->map({.size = 4 * kPageSize, .protection = kR, .object = file.object});
    EXPECT_EQ(read(at), 1);
    auto child = *space->fork();
    EXPECT_EQ(child->sizes().resident_pages, 0u);
    EXPECT_EQ(read_from(*child, at + kPageSize), 2);
}

TEST_F(Fork, AdviceDecidesWhatTheChildGets) {
    UserAddr gone = map(1, kRw), wiped = map(1, kRw);
    write(gone, 1);
    write(wiped, 2);
    ASSERT_TRUE(space->advise({gone, gone + kPageSize}, 10));
    ASSERT_TRUE(space->advise({wiped, wiped + kPageSize}, 18));
    ASSERT_TRUE(space->lock_memory({wiped, wiped + kPageSize}, LockMode::kNow));
    auto child = *space->fork();
    EXPECT_EQ(child->fault(gone, AccessKind::kRead).error(), FaultError::kNoMapping);
    EXPECT_EQ(read_from(*child, wiped), 0);
    EXPECT_EQ(child->sizes().locked_pages, 0u);
    EXPECT_EQ(read(wiped), 2);
}

TEST_F(Fork, HiddenPagesAreInheritedHidden) {
    UserAddr at = map(1, kRw);
    write(at, 3);
    ASSERT_TRUE(space->protect({at, at + kPageSize}, {}));
    auto child = *space->fork();
    ASSERT_TRUE(child->protect({at, at + kPageSize}, kRw));
    EXPECT_EQ(read_from(*child, at), 3);
    write_to(*child, at, 4);
    ASSERT_TRUE(space->protect({at, at + kPageSize}, kRw));
    EXPECT_EQ(read(at), 3);
}

TEST_F(Fork, GenerationsKeepTheirContents) {
    std::mt19937 random(5);
    uint64_t free_before;
    {
        UserAddr at = map(40, kRw);
        struct Member { core::Ref<AddressSpace> space; std::vector<uint8_t> values; };
        std::vector<Member> family{{space, std::vector<uint8_t>(40)}};
        free_before = all_free();
        for (int step = 0; step < 3000; step++) {
            Member& member = family[random() % family.size()];
            switch (random() % 8) {
                case 0:
                    if (family.size() < 12) {
                        Member child{*member.space->fork(), member.values};
                        family.push_back(std::move(child));
                    }
                    break;
                case 1:
                    if (family.size() > 1) {
                        std::swap(member, family.back());
                        family.pop_back();
                    }
                    break;
                case 2: {
                    uint64_t page = random() % 40;
                    Protection p = random() % 2 ? kR : kRw;
                    ASSERT_TRUE(member.space->protect({at + page * kPageSize, at + (page + 1) * kPageSize}, p));
                    ASSERT_TRUE(member.space->protect({at + page * kPageSize, at + (page + 1) * kPageSize}, kRw));
                    break;
                }
                default: {
                    uint64_t page = random() % 40;
                    uint8_t value = static_cast<uint8_t>(random());
                    write_to(*member.space, at + page * kPageSize, value);
                    member.values[page] = value;
                }
            }
            for (Member& each : family) {
                uint64_t page = random() % 40;
                ASSERT_EQ(read_from(*each.space, at + page * kPageSize), each.values[page]);
            }
        }
        family.clear();
        ASSERT_TRUE(space->unmap({at, at + 40 * kPageSize}));
    }
    EXPECT_EQ(memory_statistics().anonymous_pages, 0u);
    EXPECT_EQ(all_free(), free_before);
}

TEST_F(Fork, FailureAtEveryAllocationLeavesTheParentAsItWas) {
    UserAddr at = map(600, kRw);
    for (int i = 0; i < 600; i += 50) write(at + i * kPageSize, static_cast<uint8_t>(i));
    uint64_t free_before = all_free();
    test_support::fail_each_allocation([&] { return static_cast<bool>(space->fork()); });
    EXPECT_EQ(all_free(), free_before);
    for (int i = 0; i < 600; i += 50) EXPECT_EQ(read(at + i * kPageSize), static_cast<uint8_t>(i));
}

}  // namespace
