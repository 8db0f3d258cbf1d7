#include <gtest/gtest.h>

#include <memory>

#include "core/lock.h"
#include "core/memory.h"
#include "core/string.h"
#include "core/vector.h"

namespace {

struct Counted : core::RefCounted {
    explicit Counted(int& alive) : alive_(alive) { alive_++; }
    ~Counted() override { alive_--; }
    int& alive_;
};

TEST(Ref, SharesAndFrees) {
    int alive = 0;
    {
        auto first = core::make_ref<Counted>(alive);
        ASSERT_TRUE(first);
        Ref<Counted> second = *first;
        EXPECT_EQ(second->reference_count(), 2u);
        first->reset();
        EXPECT_EQ(alive, 1);
        Ref<core::RefCounted> base = second;
        second.reset();
        EXPECT_EQ(alive, 1);
    }
    EXPECT_EQ(alive, 0);
}

TEST(Ref, TryRefFailsOnlyAfterTheLastReference) {
    int alive = 0;
    auto object = core::make_ref<Counted>(alive);
    EXPECT_TRUE((*object)->try_ref());
    (*object)->unref();
}

TEST(Vector, GrowsErasesAndMoves) {
    core::Vector<std::unique_ptr<int>> vector;
    for (int i = 0; i < 100; i++) ASSERT_TRUE(vector.push_back(std::make_unique<int>(i)));
    vector.erase(10);
    EXPECT_EQ(vector.size(), 99u);
    EXPECT_EQ(*vector[10], 11);
    core::Vector<std::unique_ptr<int>> moved(std::move(vector));
    EXPECT_TRUE(vector.empty());
    EXPECT_EQ(*moved.back(), 99);
    ASSERT_TRUE(moved.resize(3));
    EXPECT_EQ(moved.size(), 3u);
}

TEST(Vector, AccessBeyondTheEndIsCaught) {
    core::Vector<int> vector;
    ASSERT_TRUE(vector.push_back(1));
    EXPECT_DEATH(vector[1], "assertion failed");
}

TEST(String, KeepsItsTerminator) {
    auto text = core::String::create("abc");
    ASSERT_TRUE(text);
    ASSERT_TRUE(text->append("def"));
    EXPECT_STREQ(text->c_str(), "abcdef");
    EXPECT_EQ(text->size(), 6u);
    core::String empty;
    EXPECT_STREQ(empty.c_str(), "");
    EXPECT_EQ(*text->clone(), "abcdef");
}

Result<int> half(int value) {
    if (value % 2) return fail(Errno::kInval);
    return value / 2;
}
Result<void> halve_twice(int value, int& out) {
    out = TRY(half(TRY(half(value))));
    return {};
}

TEST(Result, TryPassesValuesAndErrors) {
    int out = 0;
    EXPECT_TRUE(halve_twice(8, out));
    EXPECT_EQ(out, 2);
    auto failed = halve_twice(6, out);
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error(), Errno::kInval);
}

#ifndef NDEBUG
TEST(LockOrder, AWrongOrderIsCaught) {
    core::Spinlock low(core::Rank::kPipe), high(core::Rank::kFrames);
    EXPECT_DEATH(
        {
            core::SpinGuard first(high);
            core::SpinGuard second(low);
        },
        "wrong order");
    EXPECT_DEATH(
        {
            core::SpinGuard first(low);
            core::SpinGuard second(low);
        },
        "taken twice");
    core::SpinGuard first(low);
    core::SpinGuard second(high);
}
#endif

}  // namespace
