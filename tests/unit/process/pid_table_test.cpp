#include "process/pid_table.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

using namespace process;

namespace {

struct Numbers {
    PidTable table;
    std::vector<std::unique_ptr<PidNumber>> all;

    int take() {
        auto fresh = std::make_unique<PidNumber>();
        if (!table.insert(*fresh)) return 0;
        all.push_back(std::move(fresh));
        return all.back()->number;
    }
    void give_back(int number) {
        PidNumber* found = table.find(number);
        ASSERT_NE(found, nullptr);
        EXPECT_TRUE(table.release(*found));
        EXPECT_EQ(table.find(number), nullptr);
    }
};

TEST(PidTable, CountsUpAndDoesNotReuseAtOnce) {
    Numbers numbers;
    EXPECT_EQ(numbers.take(), 1);
    EXPECT_EQ(numbers.take(), 2);
    EXPECT_EQ(numbers.take(), 3);
    numbers.give_back(2);
    EXPECT_EQ(numbers.take(), 4);
    EXPECT_EQ(numbers.table.last(), 4);
}

TEST(PidTable, WrapsToThreeHundredAndSkipsWhatIsTaken) {
    Numbers numbers;
    for (int i = 1; i < PidTable::kMaximum; i++) ASSERT_EQ(numbers.take(), i);
    EXPECT_EQ(numbers.take(), 0);  // all taken: EAGAIN
    numbers.give_back(5);          // below the reserved ones: stays free
    EXPECT_EQ(numbers.take(), 0);
    numbers.give_back(400);
    numbers.give_back(300);
    EXPECT_EQ(numbers.take(), 300);
    EXPECT_EQ(numbers.take(), 400);
    EXPECT_EQ(numbers.take(), 0);
}

TEST(PidTable, KeepsNumbersThatAreStillHeld) {
    Numbers numbers;
    numbers.take();
    PidNumber* one = numbers.table.find(1);
    numbers.table.hold(*one);
    EXPECT_FALSE(numbers.table.release(*one));
    EXPECT_EQ(numbers.table.find(1), one);
    EXPECT_TRUE(numbers.table.release(*one));
}

TEST(PidTable, VisitsInAscendingOrder) {
    Numbers numbers;
    for (int i = 0; i < 5; i++) numbers.take();
    numbers.give_back(3);
    std::vector<int> seen;
    for (PidNumber* at = numbers.table.next(0); at; at = numbers.table.next(at->number)) seen.push_back(at->number);
    EXPECT_EQ(seen, (std::vector<int>{1, 2, 4, 5}));
    EXPECT_EQ(numbers.table.next(5), nullptr);
}

}  // namespace
