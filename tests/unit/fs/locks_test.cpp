// fcntl's record locks and flock.
#include "fs/locks.h"
#include "sched_host.h"
#include "tree_fixture.h"

namespace fs_test {
namespace {

using fs::LockKind;
using fs::LockRange;
using fs::LockWait;

class Locks : public Tree {
  protected:
    void SetUp() override {
        Tree::SetUp();
        make_file("/f");
        first = *open("/f", fs::kORdWr);
        second = *open("/f", fs::kORdWr);
        inode = first->inode();
    }
    void TearDown() override {
        first.reset();
        second.reset();
        inode.reset();
        Tree::TearDown();
    }
    Errno set(int owner, uint64_t start, uint64_t end, LockKind kind, LockWait wait = LockWait::kNo) {
        return error_of(fs::set_record_lock(*inode, {start, end}, kind, &owners[owner], 100 + owner, wait));
    }
    // The conflict that owner 9 would meet at one byte.
    int holder(uint64_t byte) {
        auto conflict = fs::find_record_conflict(*inode, {byte, byte}, LockKind::kExclusive, &owners[9]);
        return conflict.kind == LockKind::kNone ? -1 : conflict.pid - 100;
    }

    int owners[10];
    Ref<fs::File> first, second;
    Ref<fs::Inode> inode;
};

TEST_F(Locks, RangesSplitAndMerge) {
    EXPECT_EQ(set(0, 0, 99, LockKind::kExclusive), kOk);
    EXPECT_EQ(set(1, 50, 60, LockKind::kShared), Errno::kAgain);
    EXPECT_EQ(set(0, 40, 59, LockKind::kNone), kOk);
    EXPECT_EQ(set(1, 40, 59, LockKind::kExclusive), kOk);
    EXPECT_EQ(holder(39), 0);
    EXPECT_EQ(holder(40), 1);
    EXPECT_EQ(holder(60), 0);
    EXPECT_EQ(holder(100), -1);
    EXPECT_EQ(set(1, 40, 59, LockKind::kNone), kOk);
    EXPECT_EQ(set(0, 30, 70, LockKind::kShared), kOk);  // converts the middle
    EXPECT_EQ(set(1, 30, 70, LockKind::kShared), kOk);
    EXPECT_EQ(set(1, 29, 29, LockKind::kShared), Errno::kAgain);
    EXPECT_EQ(set(0, 0, ~0ull, LockKind::kNone), kOk);
    EXPECT_EQ(set(1, 0, ~0ull, LockKind::kNone), kOk);
    EXPECT_EQ(set(0, 10, 19, LockKind::kExclusive), kOk);
    EXPECT_EQ(set(0, 20, ~0ull, LockKind::kExclusive), kOk);
    auto conflict = fs::find_record_conflict(*inode, {0, 100}, LockKind::kShared, &owners[1]);
    EXPECT_EQ(conflict.range.start, 10u);
    EXPECT_EQ(conflict.range.end, ~uint64_t{0});
}

TEST_F(Locks, ClosingAnyDescriptorReleasesTheProcessLocks) {
    auto table = *fs::FdTable::create();
    (void)*table->install(first, fs::CloseOnExec::kNo, 10);
    EXPECT_EQ(error_of(fs::set_record_lock(*inode, {}, LockKind::kExclusive, table.get(), 1, LockWait::kNo)), kOk);
    EXPECT_EQ(set(1, 0, 0, LockKind::kShared), Errno::kAgain);
    EXPECT_TRUE(table->close(0));
    EXPECT_EQ(set(1, 0, 0, LockKind::kShared), kOk);
}

TEST_F(Locks, WaitingAndSignals) {
    EXPECT_EQ(set(0, 0, 9, LockKind::kExclusive), kOk);
    test_support::on_sleep([&] { EXPECT_EQ(set(0, 0, 9, LockKind::kNone), kOk); });
    EXPECT_EQ(set(1, 5, 5, LockKind::kExclusive, LockWait::kYes), kOk);
    test_support::set_interrupted(true);
    EXPECT_EQ(set(2, 5, 5, LockKind::kExclusive, LockWait::kYes), Errno::kRestartSys);
    test_support::set_interrupted(false);
}

TEST_F(Locks, DeadlocksAreFound) {
    EXPECT_EQ(set(0, 0, 0, LockKind::kExclusive), kOk);
    EXPECT_EQ(set(1, 1, 1, LockKind::kExclusive), kOk);
    test_support::on_sleep([&] {
        // While 0 waits for 1, 1 must not wait for 0.
        EXPECT_EQ(set(1, 0, 0, LockKind::kExclusive, LockWait::kYes), Errno::kDeadlk);
        EXPECT_EQ(set(1, 1, 1, LockKind::kNone), kOk);
    });
    EXPECT_EQ(set(0, 1, 1, LockKind::kExclusive, LockWait::kYes), kOk);
}

TEST_F(Locks, WholeFiles) {
    auto flock = [&](Ref<fs::File>& file, LockKind kind) {
        return error_of(fs::set_file_lock(*inode, kind, *file, LockWait::kNo));
    };
    EXPECT_EQ(flock(first, LockKind::kShared), kOk);
    EXPECT_EQ(flock(second, LockKind::kShared), kOk);
    EXPECT_EQ(flock(second, LockKind::kExclusive), Errno::kAgain);
    // The failed conversion has lost the shared lock, as flock(2) warns.
    EXPECT_EQ(flock(first, LockKind::kExclusive), kOk);
    EXPECT_EQ(set(0, 0, 0, LockKind::kExclusive), kOk);  // the families do not see each other
    first.reset();
    EXPECT_EQ(flock(second, LockKind::kExclusive), kOk);
    EXPECT_EQ(flock(second, LockKind::kNone), kOk);
}

}  // namespace
}  // namespace fs_test
