// Advisory file locks: flock(2), and fcntl(2)'s record locks, owned by a process (POSIX) or by an open file (OFD).
// The two families do not see each other, as on Linux.
//
// Waiting POSIX locks are checked for deadlock (EDEADLK); flock and OFD locks are not, as on Linux.
#pragma once

#include <cstdint>

#include "core/intrusive.h"
#include "core/lock.h"
#include "fs/file.h"
#include "fs/inode.h"
#include "sched/wait_queue.h"

namespace fs {

enum class LockKind : uint8_t { kShared, kExclusive, kNone };
enum class LockWait : bool { kNo, kYes };

// A range of bytes; `end` is the last one (~0: to the end of the file and beyond).
struct LockRange {
    uint64_t start = 0, end = ~uint64_t{0};
    bool overlaps(LockRange other) const { return start <= other.end && other.start <= end; }
};

struct RecordLock {
    core::ListHook hook;
    LockRange range;
    LockKind kind = LockKind::kNone;
    const void* owner = nullptr;  // FdTable (POSIX) or File (OFD, flock)
    int pid = 0;                  // what F_GETLK reports; -1 for OFD locks
};

// All locks of one inode; made by the first, freed with the inode.
class InodeLocks {
  public:
    using List = core::List<RecordLock, &RecordLock::hook>;
    ~InodeLocks();

    core::Spinlock lock{core::Rank::kFile};
    List records, whole_files;  // fcntl's and flock's
    sched::WaitQueue released;
};

// fcntl(F_SETLK, F_SETLKW, and the OFD ones): takes, converts or (kNone) releases `range`. EAGAIN (a conflict, not
// waiting), kRestartSys (a signal while waiting), EDEADLK, ENOMEM. `owner` as in RecordLock.
Result<void> set_record_lock(Inode& inode, LockRange range, LockKind kind, const void* owner, int pid,
                             LockWait wait);
// fcntl(F_GETLK): the first lock that would conflict, kind kNone if there is none.
struct LockConflict {
    LockRange range;
    LockKind kind = LockKind::kNone;
    int pid = 0;
};
LockConflict find_record_conflict(Inode& inode, LockRange range, LockKind kind, const void* owner);

// flock(2). EAGAIN (EWOULDBLOCK), kRestartSys, ENOMEM. A conversion releases the old lock first, as Linux does.
Result<void> set_file_lock(Inode& inode, LockKind kind, const File& owner, LockWait wait);

// The last reference to an open file is gone: its flock and OFD locks. A descriptor was closed: the process'
// POSIX locks on the file.
void release_file_locks(Inode& inode, const File& owner);
void release_owner_locks(Inode& inode, const void* owner);

}  // namespace fs
