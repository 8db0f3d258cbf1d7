// Attributes: stat(2), statx(2), access(2), chmod(2), chown(2), utimensat(2), extended attributes.
#include <iterator>

#include "arch/x86_64/user_word.h"
#include "fs/path_file.h"
#include "fs/tmpfs/node.h"
#include "libc-compat/families.h"
#include "libc-compat/file_arguments.h"

namespace abi {

namespace {

// struct stat of x86-64 (stat(2)).
struct UserStat {
    uint64_t device, inode_number, link_count;
    uint32_t mode, uid, gid, padding;
    uint64_t special_device;
    int64_t size, block_size, blocks;
    int64_t access[2], modification[2], change[2];
    int64_t unused[3];
};
static_assert(sizeof(UserStat) == 144);

struct UserStatxTime { int64_t seconds; uint32_t nanoseconds; int32_t reserved; };
struct UserStatx {
    uint32_t mask, block_size;
    uint64_t attributes;
    uint32_t link_count, uid, gid;
    uint16_t mode, spare0;
    uint64_t inode_number, size, blocks, attributes_mask;
    UserStatxTime access, birth, change, modification;
    uint32_t special_major, special_minor, device_major, device_minor;
    uint64_t mount_id;
    uint64_t spare[13];
};
static_assert(sizeof(UserStatx) == 256);

constexpr uint64_t kAnonymousDevice = 0x0f;  // st_dev of pipes, sockets and anonymous files
constexpr uint32_t kStatxBasic = 0x7ff, kStatxMountId = 0x1000, kStatxReserved = 0x8000'0000;

struct Found {
    fs::Attributes attributes;
    uint64_t device, mount_id;
    bool mount_root;
};

Found describe(const fs::Path& path) {
    fs::Inode& inode = path.inode();
    return {inode.attributes(), inode.file_system().device_number(), path.mount->id(),
            path.dentry == path.mount->root()};
}

Found describe(fs::File& file) {
    if (const fs::Path* path = file.path()) return describe(*path);
    return {file.attributes(), kAnonymousDevice, 0, false};
}

Result<void> put_stat(UserOut<UserStat> destination, const Found& found) {
    const fs::Attributes& from = found.attributes;
    constexpr uint64_t kUnused = 0, kBlockSize = kPageSize;
    constexpr uint32_t kPadding = 0;
    const uint32_t mode = static_cast<uint32_t>(from.type) | from.permissions;
    const uint64_t link_count = from.link_count;
    arch::UserWords words(destination.address(), sizeof(UserStat));
    if (!words.store(found.device, from.inode_number, link_count, mode, from.uid, from.gid, kPadding,
                     from.device_number, from.size, kBlockSize, from.blocks, from.access.seconds,
                     from.access.nanoseconds, from.modification.seconds, from.modification.nanoseconds,
                     from.change.seconds, from.change.nanoseconds, kUnused, kUnused, kUnused)) {
        return fail(Errno::kFault);
    }
    return {};
}

// Calls use(found) for what a *at() call with AT_EMPTY_PATH means: "" is the descriptor itself, which may have no path.
template <typename Use>
Result<void> find_at(Context& context, int directory_fd, UserIn<char> user_path, uint32_t flags, Use use) {
    StackPath buffer;
    std::string_view path = TRY(buffer.read(user_path));
    if (path.empty() && (flags & kAtEmptyPath) && directory_fd != kAtFdCwd) {
        auto file = TRY(context.files().get_any(directory_fd));
        return use(describe(*file));
    }
    fs::LookupRequest request;
    TRY(fill_request(request, context, directory_fd, path,
                     flags & kAtSymlinkNoFollow ? LastLink::kNoFollow : LastLink::kFollow, flags & kAtEmptyPath));
    const fs::Path place = TRY(fs::lookup(path, request));
    return use(describe(place));
}

Result<void> stat_at(Context& context, int directory_fd, UserIn<char> path, UserOut<UserStat> destination,
                     uint32_t flags) {
    return find_at(context, directory_fd, path, flags,
                   [&](const Found& found) { return put_stat(destination, found); });
}

Result<void> sys_stat(Context& context, UserIn<char> path, UserOut<UserStat> destination) {
    return stat_at(context, kAtFdCwd, path, destination, 0);
}
Result<void> sys_lstat(Context& context, UserIn<char> path, UserOut<UserStat> destination) {
    return stat_at(context, kAtFdCwd, path, destination, kAtSymlinkNoFollow);
}
Result<void> sys_fstat(Context& context, int fd, UserOut<UserStat> destination) {
    auto file = TRY(context.files().get_any(fd));
    return put_stat(destination, describe(*file));
}
Result<void> sys_newfstatat(Context& context, int directory_fd, UserIn<char> path, UserOut<UserStat> destination,
                            uint32_t flags) {
    if (flags & ~(kAtSymlinkNoFollow | kAtNoAutomount | kAtEmptyPath)) return fail(Errno::kInval);
    return stat_at(context, directory_fd, path, destination, flags);
}

UserStatxTime statx_time(fs::Timespec time) {
    return {time.seconds, static_cast<uint32_t>(time.nanoseconds), 0};
}

// Not inline: find_at() has a path on its stack.
[[gnu::noinline]] Result<void> put_statx(UserOut<UserStatx> destination, const Found& found) {
    constexpr uint32_t kAttributeMountRoot = 0x2000;
    const fs::Attributes& from = found.attributes;
    UserStatx result = {};
    result.mask = kStatxBasic | (found.mount_id ? kStatxMountId : 0);
    result.block_size = kPageSize;
    result.attributes = found.mount_root ? kAttributeMountRoot : 0;
    result.attributes_mask = kAttributeMountRoot;
    result.link_count = from.link_count;
    result.uid = from.uid;
    result.gid = from.gid;
    result.mode = static_cast<uint16_t>(static_cast<uint16_t>(from.type) | from.permissions);
    result.inode_number = from.inode_number;
    result.size = from.size;
    result.blocks = from.blocks;
    result.access = statx_time(from.access);
    result.change = statx_time(from.change);
    result.modification = statx_time(from.modification);
    result.special_major = static_cast<uint32_t>(from.device_number >> 8 & 0xfff);
    result.special_minor = static_cast<uint32_t>((from.device_number & 0xff) | (from.device_number >> 12 & 0xfff00));
    result.device_minor = static_cast<uint32_t>(found.device);
    result.mount_id = found.mount_id;
    return arch::copy_out(destination, result);
}

Result<void> sys_statx(Context& context, int directory_fd, UserIn<char> path, uint32_t flags, uint32_t mask,
                       UserOut<UserStatx> destination) {
    constexpr uint32_t kSyncFlags = 0x6000;
    if (mask & kStatxReserved) return fail(Errno::kInval);
    if (flags & ~(kAtSymlinkNoFollow | kAtNoAutomount | kAtEmptyPath | kSyncFlags)) return fail(Errno::kInval);
    if ((flags & kSyncFlags) == kSyncFlags) return fail(Errno::kInval);
    return find_at(context, directory_fd, path, flags,
                   [&](const Found& found) { return put_statx(destination, found); });
}

Result<void> check_path_access(Context& context, int directory_fd, UserIn<char> user_path, uint32_t mode,
                               uint32_t flags) {
    if (mode & ~7u) return fail(Errno::kInval);
    StackPath buffer;
    std::string_view path = TRY(buffer.read(user_path));
    auto request = TRY(request_at(context, directory_fd, path,
                                  flags & kAtSymlinkNoFollow ? LastLink::kNoFollow : LastLink::kFollow,
                                  flags & kAtEmptyPath));
    if (!(flags & kAtEaccess)) {
        request.identity.uid = context.credentials().uid;
        request.identity.gid = context.credentials().gid;
    }
    fs::Path place = TRY(fs::lookup(path, request));
    if (mode == 0) return {};
    if ((mode & fs::kAccessExecute) && place.dentry->type() == fs::FileType::kRegular &&
        (place.mount->flags() & fs::kMountNoExec))
        return fail(Errno::kAcces);
    TRY(fs::check_access(place.inode(), mode, request.identity));
    bool special = place.dentry->type() != fs::FileType::kRegular && place.dentry->type() != fs::FileType::kDirectory &&
                   place.dentry->type() != fs::FileType::kSymlink;
    if ((mode & fs::kAccessWrite) && !special && place.mount->read_only()) return fail(Errno::kRoFs);
    return {};
}

Result<void> sys_access(Context& context, UserIn<char> path, uint32_t mode) {
    return check_path_access(context, kAtFdCwd, path, mode, 0);
}
Result<void> sys_faccessat(Context& context, int directory_fd, UserIn<char> path, uint32_t mode) {
    return check_path_access(context, directory_fd, path, mode, 0);
}
Result<void> sys_faccessat2(Context& context, int directory_fd, UserIn<char> path, uint32_t mode, uint32_t flags) {
    if (flags & ~(kAtEaccess | kAtSymlinkNoFollow | kAtEmptyPath)) return fail(Errno::kInval);
    return check_path_access(context, directory_fd, path, mode, flags);
}

Result<void> change_permissions(Context& context, const fs::Path& place, uint32_t mode) {
    if (place.dentry->type() == fs::FileType::kSymlink) return fail(Errno::kOpNotSupp);
    fs::AttributeChange change;
    change.set_permissions = true;
    change.permissions = mode & 07777;
    return fs::change_attributes(place, change, context.credentials().identity());
}

Result<void> sys_fchmodat2(Context& context, int directory_fd, UserIn<char> path, uint32_t mode, uint32_t flags) {
    if (flags & ~(kAtSymlinkNoFollow | kAtEmptyPath)) return fail(Errno::kInval);
    return change_permissions(context, TRY(path_at(context, directory_fd, path, flags)), mode);
}
Result<void> sys_fchmodat(Context& context, int directory_fd, UserIn<char> path, uint32_t mode) {
    return sys_fchmodat2(context, directory_fd, path, mode, 0);
}
Result<void> sys_chmod(Context& context, UserIn<char> path, uint32_t mode) {
    return sys_fchmodat2(context, kAtFdCwd, path, mode, 0);
}
Result<void> sys_fchmod(Context& context, int fd, uint32_t mode) {
    return change_permissions(context, TRY(path_of_descriptor(context, fd)), mode);
}

Result<void> change_owner(Context& context, const fs::Path& place, uint32_t uid, uint32_t gid) {
    fs::AttributeChange change;
    change.set_uid = uid != ~0u;
    change.uid = uid;
    change.set_gid = gid != ~0u;
    change.gid = gid;
    return fs::change_attributes(place, change, context.credentials().identity());
}

Result<void> sys_fchownat(Context& context, int directory_fd, UserIn<char> path, uint32_t uid, uint32_t gid,
                          uint32_t flags) {
    if (flags & ~(kAtSymlinkNoFollow | kAtEmptyPath)) return fail(Errno::kInval);
    return change_owner(context, TRY(path_at(context, directory_fd, path, flags)), uid, gid);
}
Result<void> sys_chown(Context& context, UserIn<char> path, uint32_t uid, uint32_t gid) {
    return sys_fchownat(context, kAtFdCwd, path, uid, gid, 0);
}
Result<void> sys_lchown(Context& context, UserIn<char> path, uint32_t uid, uint32_t gid) {
    return sys_fchownat(context, kAtFdCwd, path, uid, gid, kAtSymlinkNoFollow);
}
Result<void> sys_fchown(Context& context, int fd, uint32_t uid, uint32_t gid) {
    return change_owner(context, TRY(path_of_descriptor(context, fd)), uid, gid);
}

constexpr int64_t kTimeNow = 0x3fff'ffff, kTimeOmit = 0x3fff'fffe;
struct UserTime { int64_t seconds, fraction; };  // of a second, in the caller's unit

// Access and modification time. `times` null: both now.
Result<void> set_times(Context& context, const fs::Path& place, const UserTime* times) {
    fs::AttributeChange change;
    fs::Timespec now = fs::tmpfs::current_time();
    fs::TimesCheck check = fs::TimesCheck::kOwner;
    if (!times || (times[0].fraction == kTimeNow && times[1].fraction == kTimeNow)) {
        check = fs::TimesCheck::kOwnerOrWriter;
        change.set_access = change.set_modification = true;
        change.access = change.modification = now;
    } else {
        auto one = [&](const UserTime& time, bool& set, fs::Timespec& value) {
            set = time.fraction != kTimeOmit;
            value = time.fraction == kTimeNow ? now : fs::Timespec{time.seconds, time.fraction};
        };
        one(times[0], change.set_access, change.access);
        one(times[1], change.set_modification, change.modification);
        if (!change.set_access && !change.set_modification) return {};
    }
    return fs::change_attributes(place, change, context.credentials().identity(), check);
}

Result<void> sys_utimensat(Context& context, int directory_fd, UserIn<char> path, UserIn<UserTime> user_times,
                           uint32_t flags) {
    UserTime times[2];
    if (!user_times.is_null()) {
        TRY(arch::copy_in(times, user_times.address(), sizeof times));
        for (const UserTime& time : times) {
            if (time.fraction != kTimeNow && time.fraction != kTimeOmit &&
                (time.fraction < 0 || time.fraction >= 1'000'000'000))
                return fail(Errno::kInval);
        }
        if (times[0].fraction == kTimeOmit && times[1].fraction == kTimeOmit) return {};
    }
    if (flags & ~(kAtSymlinkNoFollow | kAtEmptyPath)) return fail(Errno::kInval);
    fs::Path place;
    if (path.is_null() && directory_fd != kAtFdCwd) {
        if (flags) return fail(Errno::kInval);
        place = TRY(path_of_descriptor(context, directory_fd));
    } else {
        place = TRY(path_at(context, directory_fd, path, flags));
    }
    return set_times(context, place, user_times.is_null() ? nullptr : times);
}

Result<void> sys_futimesat(Context& context, int directory_fd, UserIn<char> path, UserIn<UserTime> user_times) {
    UserTime times[2];
    if (!user_times.is_null()) {
        TRY(arch::copy_in(times, user_times.address(), sizeof times));
        for (UserTime& time : times) {
            if (time.fraction < 0 || time.fraction >= 1'000'000) return fail(Errno::kInval);
            time.fraction *= 1000;
        }
    }
    fs::Path place = path.is_null() && directory_fd != kAtFdCwd ? TRY(path_of_descriptor(context, directory_fd))
                                                                : TRY(path_at(context, directory_fd, path, 0));
    return set_times(context, place, user_times.is_null() ? nullptr : times);
}
Result<void> sys_utimes(Context& context, UserIn<char> path, UserIn<UserTime> times) {
    return sys_futimesat(context, kAtFdCwd, path, times);
}
Result<void> sys_utime(Context& context, UserIn<char> path, UserIn<int64_t> user_times) {
    UserTime times[2] = {};
    if (!user_times.is_null()) {
        int64_t seconds[2];
        TRY(arch::copy_in(seconds, user_times.address(), sizeof seconds));
        times[0].seconds = seconds[0];
        times[1].seconds = seconds[1];
    }
    fs::Path place = TRY(path_at(context, kAtFdCwd, path, 0));
    return set_times(context, place, user_times.is_null() ? nullptr : times);
}

constexpr SystemCall kFileMetadataCalls[] = {
    CALL(4, stat, "pathname, statbuf"),
    CALL(5, fstat, "fd, statbuf"),
    CALL(6, lstat, "pathname, statbuf"),
    CALL(21, access, "pathname, mode"),
    CALL(90, chmod, "pathname, mode"),
    CALL(91, fchmod, "fd, mode", "EINVAL for pipes and sockets"),
    CALL(92, chown, "pathname, owner, group"),
    CALL(93, fchown, "fd, owner, group", "EINVAL for pipes and sockets"),
    CALL(94, lchown, "pathname, owner, group"),
    CALL(132, utime, "filename, times"),
    CALL(235, utimes, "filename, times"),
    CALL(260, fchownat, "dirfd, pathname, owner, group, flags"),
    CALL(261, futimesat, "dirfd, pathname, times"),
    CALL(262, newfstatat, "dirfd, pathname, statbuf, flags"),
    CALL(268, fchmodat, "dirfd, pathname, mode"),
    CALL(269, faccessat, "dirfd, pathname, mode"),
    CALL(280, utimensat, "dirfd, pathname, times, flags"),
    CALL(332, statx, "dirfd, pathname, flags, mask, statxbuf", "no birth time, as Linux' overlayfs on tmpfs"),
    CALL(439, faccessat2, "dirfd, pathname, mode, flags"),
    CALL(452, fchmodat2, "dirfd, pathname, mode, flags"),
};

}  // namespace

const SystemCallFamily kFileMetadataFamily{"file metadata", kFileMetadataCalls};

}  // namespace abi
