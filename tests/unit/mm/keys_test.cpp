#include <gtest/gtest.h>

#include "space_fixture.h"

namespace {

using namespace mm;

constexpr Protection kR{true, false, false}, kRw{true, true, false}, kX{false, false, true}, kRx{true, false, true};

class Keys : public SpaceFixture {
  protected:
    unsigned entry_key(UserAddr at) {
        space->activate();
        unsigned found = walker::look_up(test_support::loaded_table(0).value(), at.value()).key;
        space->deactivate();
        return found;
    }
    Result<void> protect(UserAddr at, uint64_t pages, Protection protection, int key) {
        return space->protect({at, at + pages * kPageSize}, protection, AddressSpace::Extend::kNo, key);
    }
};

TEST_F(Keys, AreGivenInOrderAndRunOut) {
    for (unsigned key = 1; key <= 14; key++) EXPECT_EQ(*space->allocate_key(), key);
    EXPECT_EQ(space->allocate_key().error(), Errno::kNoSpc);
    EXPECT_TRUE(space->free_key(7));
    EXPECT_EQ(space->free_key(7).error(), Errno::kInval);
    EXPECT_EQ(*space->allocate_key(), 7u);
    for (int key : {-1, 15, 16, 100}) EXPECT_EQ(space->free_key(key).error(), Errno::kInval) << key;
}

TEST_F(Keys, StandInEntriesAndSplitMappings) {
    unsigned key = *space->allocate_key();
    UserAddr at = map(3, kRw);
    write(at, 1);
    write(at + kPageSize, 2);
    EXPECT_EQ(protect(at, 1, kRw, 5).error(), Errno::kInval);
    EXPECT_TRUE(protect(at + kPageSize, 1, kRw, static_cast<int>(key)));
    EXPECT_EQ(vma_count(), 3u);
    EXPECT_EQ(space->key_at(at + kPageSize), key);
    EXPECT_EQ(entry_key(at), 0u);
    EXPECT_EQ(entry_key(at + kPageSize), key);
    EXPECT_TRUE(protect(at, 3, kR, AddressSpace::kNoKey));  // keys stay
    EXPECT_EQ(vma_count(), 3u);
    EXPECT_EQ(entry_key(at + kPageSize), key);
    auto child = *space->fork();
    EXPECT_EQ(child->key_at(at + kPageSize), key);
    EXPECT_EQ(*child->allocate_key(), key + 1);
    EXPECT_TRUE(protect(at, 3, kRw, 0));
    EXPECT_EQ(vma_count(), 1u);
    EXPECT_EQ(entry_key(at + kPageSize), 0u);
}

TEST_F(Keys, AnotherKeyIsFlushed) {
    unsigned key = *space->allocate_key();
    UserAddr at = map(1, kRw);
    write(at, 1);
    space->activate();
    test_support::take_flushes();
    EXPECT_TRUE(protect(at, 1, kRw, static_cast<int>(key)));
    EXPECT_EQ(test_support::take_flushes().size(), 1u);
    space->deactivate();
}

TEST_F(Keys, ExecuteOnlyMemoryGetsAKeyOfItsOwn) {
    UserAddr at = map(2, kRw);
    write(at, 1);
    EXPECT_TRUE(protect(at, 1, kX, AddressSpace::kNoKey));
    unsigned key = space->execute_only_key();
    EXPECT_EQ(space->key_at(at), key);
    EXPECT_NE(key, 0u);
    EXPECT_EQ(space->free_key(static_cast<int>(key)).error(), Errno::kInval);
    EXPECT_EQ(protect(at, 1, kRw, static_cast<int>(key)).error(), Errno::kInval);
    EXPECT_NE(*space->allocate_key(), key);
    EXPECT_TRUE(protect(at, 1, kRx, AddressSpace::kNoKey));
    EXPECT_EQ(space->key_at(at), 0u);
}

}  // namespace
