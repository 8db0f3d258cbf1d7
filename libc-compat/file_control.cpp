// fcntl(2) and flock(2).
#include "fs/locks.h"
#include "fs/pipe.h"
#include "fs/regular_file.h"
#include "libc-compat/families.h"
#include "libc-compat/file_arguments.h"

namespace abi {

namespace {

constexpr int kDupFd = 0, kGetFd = 1, kSetFd = 2, kGetFl = 3, kSetFl = 4, kGetLk = 5, kSetLk = 6, kSetLkW = 7,
    kSetOwn = 8, kGetOwn = 9, kGetSig = 11, kSetSig = 10, kOfdGetLk = 36, kOfdSetLk = 37, kOfdSetLkW = 38,
    kDupFdCloExec = 1030, kSetPipeSize = 1031, kGetPipeSize = 1032;

// struct flock of x86-64 (fcntl.h).
struct UserLock {
    int16_t type, whence;
    int32_t padding;
    int64_t start, length;
    int32_t pid, padding2;
};
static_assert(sizeof(UserLock) == 32);
constexpr int16_t kReadLock = 0, kWriteLock = 1, kUnlock = 2;

Result<fs::LockKind> lock_kind(int16_t type) {
    switch (type) {
        case kReadLock: return fs::LockKind::kShared;
        case kWriteLock: return fs::LockKind::kExclusive;
        case kUnlock: return fs::LockKind::kNone;
        default: return fail(Errno::kInval);
    }
}

// The bytes that a struct flock means. EINVAL, EOVERFLOW.
Result<fs::LockRange> lock_range(const UserLock& lock, fs::File& file) {
    int64_t base = 0;
    if (lock.whence == 1) base = static_cast<int64_t>(file.position);
    else if (lock.whence == 2) base = static_cast<int64_t>(file.attributes().size);
    else if (lock.whence != 0) return fail(Errno::kInval);
    int64_t start;
    if (__builtin_add_overflow(base, lock.start, &start)) return fail(Errno::kOverflow);
    if (start < 0) return fail(Errno::kInval);
    if (lock.length == 0) return fs::LockRange{static_cast<uint64_t>(start), ~uint64_t{0}};
    int64_t end;  // the last byte
    if (lock.length > 0) {
        if (__builtin_add_overflow(start, lock.length - 1, &end)) return fail(Errno::kOverflow);
    } else {
        // A negative length means the bytes before `start`.
        end = start - 1;
        start += lock.length;
        if (start < 0) return fail(Errno::kInval);
    }
    return fs::LockRange{static_cast<uint64_t>(start), static_cast<uint64_t>(end)};
}

struct LockCaller {
    const void* owner;
    int pid;
};
LockCaller lock_caller(Context& context, fs::File& file, bool of_file) {
    if (of_file) return {&file, -1};
    return {&context.files(), context.process().pid};
}

Result<uint64_t> get_lock(Context& context, fs::File& file, UserOut<UserLock> argument, bool of_file) {
    UserLock lock = TRY(arch::copy_in(UserIn<UserLock>(argument)));
    fs::LockKind kind = TRY(lock_kind(lock.type));
    if (kind == fs::LockKind::kNone) return fail(Errno::kInval);
    if (of_file && lock.pid != 0) return fail(Errno::kInval);
    fs::LockRange range = TRY(lock_range(lock, file));
    auto inode = file.inode();
    fs::LockConflict conflict;
    if (inode)
        conflict = fs::find_record_conflict(*inode, range, kind, lock_caller(context, file, of_file).owner);
    if (conflict.kind == fs::LockKind::kNone) {
        lock.type = kUnlock;
    } else {
        lock.type = conflict.kind == fs::LockKind::kShared ? kReadLock : kWriteLock;
        lock.whence = 0;
        lock.start = static_cast<int64_t>(conflict.range.start);
        lock.length = conflict.range.end == ~uint64_t{0}
                          ? 0 : static_cast<int64_t>(conflict.range.end - conflict.range.start + 1);
        lock.pid = conflict.pid;
    }
    TRY(arch::copy_out(argument, lock));
    return uint64_t{0};
}

Result<uint64_t> set_lock(Context& context, fs::File& file, UserIn<UserLock> argument, bool of_file,
                          fs::LockWait wait) {
    UserLock lock = TRY(arch::copy_in(argument));
    fs::LockRange range = TRY(lock_range(lock, file));
    fs::LockKind kind = TRY(lock_kind(lock.type));
    if (of_file && lock.pid != 0) return fail(Errno::kInval);
    if (kind == fs::LockKind::kShared && !file.readable()) return fail(Errno::kBadF);
    if (kind == fs::LockKind::kExclusive && !file.writable()) return fail(Errno::kBadF);
    auto inode = file.inode();
    if (!inode) return fail(Errno::kNoLck);
    LockCaller caller = lock_caller(context, file, of_file);
    TRY(fs::set_record_lock(*inode, range, kind, caller.owner, caller.pid, wait));
    return uint64_t{0};
}

Result<uint64_t> set_flags(fs::File& file, uint32_t flags) {
    constexpr uint32_t kSettable = fs::kOAppend | fs::kONonBlock | fs::kOAsync | fs::kODirect | fs::kONoAtime;
    uint32_t old_flags = file.flags();
    file.set_flags((old_flags & ~kSettable) | (flags & kSettable));
    file.flags_changed(old_flags);
    return uint64_t{0};
}

Result<uint64_t> duplicate(Context& context, Ref<fs::File> file, uint64_t minimum, fs::CloseOnExec close_on_exec) {
    uint64_t limit = context.limit(process::kLimitNoFile);
    if (static_cast<uint32_t>(minimum) >= limit) return fail(Errno::kInval);
    return static_cast<uint64_t>(TRY(context.files().install(std::move(file), close_on_exec, limit,
                                                             static_cast<int>(minimum))));
}

Result<uint64_t> sys_fcntl(Context& context, int fd, int command, uint64_t argument) {
    auto file = TRY(context.files().get_any(fd));
    switch (command) {
        case kDupFd: return duplicate(context, std::move(file), argument, fs::CloseOnExec::kNo);
        case kDupFdCloExec: return duplicate(context, std::move(file), argument, fs::CloseOnExec::kYes);
        case kGetFd: return uint64_t{TRY(context.files().close_on_exec(fd)) == fs::CloseOnExec::kYes};
        case kSetFd:
            TRY(context.files().set_close_on_exec(fd, argument & 1 ? fs::CloseOnExec::kYes : fs::CloseOnExec::kNo));
            return uint64_t{0};
        case kGetFl: return uint64_t{file->flags()};
        default: break;
    }
    if (file->flags() & fs::kOPath) return fail(Errno::kBadF);
    switch (command) {
        case kSetFl: return set_flags(*file, static_cast<uint32_t>(argument));
        case kGetLk:
        case kOfdGetLk: return get_lock(context, *file, UserOut<UserLock>(argument), command == kOfdGetLk);
        case kSetLk:
        case kOfdSetLk:
            return set_lock(context, *file, UserIn<UserLock>(argument), command == kOfdSetLk, fs::LockWait::kNo);
        case kSetLkW:
        case kOfdSetLkW:
            return set_lock(context, *file, UserIn<UserLock>(argument), command == kOfdSetLkW, fs::LockWait::kYes);
        case kSetOwn:
            file->owner_pid.store(static_cast<int>(argument), std::memory_order_relaxed);
            return uint64_t{0};
        case kGetOwn: return static_cast<uint64_t>(int64_t{file->owner_pid.load(std::memory_order_relaxed)});
        case kGetSig: return uint64_t{0};
        case kSetSig: return argument > process::kSigMax ? Result<uint64_t>(fail(Errno::kInval)) : uint64_t{0};
        case kSetPipeSize:
            return uint64_t{TRY(fs::set_pipe_size(*file, static_cast<uint32_t>(argument),
                                                  context.credentials().euid == 0))};
        case kGetPipeSize: return uint64_t{TRY(fs::pipe_size(*file))};
        default: return file->control(command, argument);
    }
}

Result<void> sys_flock(Context& context, int fd, uint32_t operation) {
    constexpr uint32_t kShared = 1, kExclusive = 2, kNonBlock = 4, kRelease = 8;
    auto file = TRY(context.file(fd));
    fs::LockKind kind;
    switch (operation & ~kNonBlock) {
        case kShared: kind = fs::LockKind::kShared; break;
        case kExclusive: kind = fs::LockKind::kExclusive; break;
        case kRelease: kind = fs::LockKind::kNone; break;
        default: return fail(Errno::kInval);
    }
    auto inode = file->inode();
    if (!inode) return fail(Errno::kNoLck);
    return fs::set_file_lock(*inode, kind, *file, operation & kNonBlock ? fs::LockWait::kNo : fs::LockWait::kYes);
}

constexpr SystemCall kFileControlCalls[] = {
    CALL(72, fcntl, "fd, cmd, arg",
         "leases, F_NOTIFY and F_SETOWN_EX are EINVAL; SIGIO is never sent; locks on pipes and sockets are ENOLCK"),
    CALL(73, flock, "fd, operation", "pipes and sockets cannot be locked (ENOLCK)"),
};

}  // namespace

const SystemCallFamily kFileControlFamily{"file control and locks", kFileControlCalls};

}  // namespace abi
