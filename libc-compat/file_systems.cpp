// Whole file systems: mount(2), umount2(2), statfs(2); extended attributes, which none of them stores.
#include "fs/path_file.h"
#include "libc-compat/families.h"
#include "libc-compat/file_arguments.h"

namespace abi {

namespace {

struct UserStatfs {
    int64_t type, block_size;
    uint64_t blocks, free_blocks, available_blocks, files, free_files;
    int32_t id[2];
    int64_t name_length, fragment_size, flags, spare[4];
};
static_assert(sizeof(UserStatfs) == 120);

Result<void> put_statistics(fs::FileSystem& file_system, uint32_t mount_flags, UserOut<UserStatfs> destination) {
    constexpr int64_t kValid = 0x20, kRelativeAccess = 0x1000;
    fs::FileSystemStatistics from = file_system.statistics();
    UserStatfs result = {};
    result.type = static_cast<int64_t>(from.type_magic);
    result.block_size = result.fragment_size = static_cast<int64_t>(from.block_size);
    result.blocks = from.blocks;
    result.free_blocks = result.available_blocks = from.free_blocks;
    result.files = from.inodes;
    result.free_files = from.free_inodes;
    result.id[0] = static_cast<int32_t>(file_system.device_number());
    result.name_length = static_cast<int64_t>(from.name_max);
    result.flags = kValid | kRelativeAccess | mount_flags;  // ST_* of the first four equal MS_*
    return arch::copy_out(destination, result);
}

Result<void> sys_statfs(Context& context, UserIn<char> user_path, UserOut<UserStatfs> destination) {
    fs::Path place = TRY(path_at(context, kAtFdCwd, user_path, 0));
    return put_statistics(place.inode().file_system(), place.mount->flags(), destination);
}

Result<void> sys_fstatfs(Context& context, int fd, UserOut<UserStatfs> destination) {
    auto file = TRY(context.files().get_any(fd));
    if (const fs::Path* path = file->path())
        return put_statistics(path->inode().file_system(), path->mount->flags(), destination);
    // Pipes, sockets and anonymous files: Linux shows an internal file system without blocks.
    constexpr int64_t kPipeFs = 0x5049'5045, kSocketFs = 0x534f'434b, kAnonymousFs = 0x0904'1934;
    UserStatfs result = {};
    switch (file->attributes().type) {
        case fs::FileType::kFifo: result.type = kPipeFs; break;
        case fs::FileType::kSocket: result.type = kSocketFs; break;
        default: result.type = kAnonymousFs; break;
    }
    result.block_size = result.fragment_size = kPageSize;
    result.name_length = 255;
    result.flags = 0x20;
    return arch::copy_out(destination, result);
}

constexpr uint64_t kRemount = 32, kBind = 4096, kMove = 8192, kRecursive = 16384, kMagic = 0xc0ed'0000,
    kMagicMask = 0xffff'0000;
constexpr uint64_t kPropagation = 1 << 17 | 1 << 18 | 1 << 19 | 1 << 20;
constexpr uint64_t kKept = fs::kMountReadOnly | fs::kMountNoSuid | fs::kMountNoDev | fs::kMountNoExec;

Result<void> mount_new(std::string_view type, std::string_view options, const fs::Path& where,
                       std::string_view source, uint64_t flags) {
    for (const fs::FileSystemType& known : fs::file_system_types()) {
        if (known.name != type) continue;
        if (where.dentry->type() != fs::FileType::kDirectory) return fail(Errno::kNotDir);
        return fs::mount(TRY(known.create(options)), where, source.empty() ? "none" : source,
                         static_cast<uint32_t>(flags & kKept));
    }
    return fail(Errno::kNoDev);
}

Result<void> sys_mount(Context& context, UserIn<char> user_source, UserIn<char> user_target, UserIn<char> user_type,
                       uint64_t flags, UserIn<char> user_options) {
    HeapPath source_buffer, target_buffer, type_buffer, options_buffer;
    auto optional = [](HeapPath& buffer, UserIn<char> text) -> Result<std::string_view> {
        if (text.is_null()) return std::string_view();
        return buffer.read(text);
    };
    std::string_view type = TRY(optional(type_buffer, user_type));
    std::string_view source = TRY(optional(source_buffer, user_source));
    std::string_view options = TRY(optional(options_buffer, user_options));
    std::string_view target = TRY(target_buffer.read(user_target));
    fs::Path where = TRY(fs::lookup(target, TRY(request_at(context, kAtFdCwd, target))));
    if (context.credentials().euid != 0) return fail(Errno::kPerm);
    if ((flags & kMagicMask) == kMagic) flags &= ~kMagicMask;
    if (flags & kRemount) {
        if (!(where.dentry == where.mount->root())) return fail(Errno::kInval);
        where.mount->set_flags(static_cast<uint32_t>(flags & kKept));
        return {};
    }
    if (flags & kBind) {
        if (source.empty()) return fail(Errno::kNoEnt);
        fs::Path from = TRY(fs::lookup(source, TRY(request_at(context, kAtFdCwd, source))));
        auto bound = TRY(fs::Mount::create(Ref<fs::FileSystem>(&from.inode().file_system()), from.dentry,
                                           from.mount->source(), from.mount->flags()));
        return fs::attach_mount(std::move(bound), where);
    }
    // One mount namespace: there is nobody to propagate to.
    if (flags & kPropagation) return where.dentry == where.mount->root() ? Result<void>() : fail(Errno::kInval);
    if (flags & kMove) return fail(Errno::kInval);
    return mount_new(type, options, where, source, flags);
}

Result<void> sys_umount2(Context& context, UserIn<char> user_target, uint32_t flags) {
    constexpr uint32_t kForce = 1, kDetach = 2, kExpire = 4, kNoFollow = 8;
    if (flags & ~(kForce | kDetach | kExpire | kNoFollow)) return fail(Errno::kInval);
    if (flags & kExpire) return fail(Errno::kInval);
    if (context.credentials().euid != 0) return fail(Errno::kPerm);
    fs::Path place = TRY(path_at(context, kAtFdCwd, user_target, flags & kNoFollow ? kAtSymlinkNoFollow : 0));
    return fs::unmount(place, flags & kDetach);
}

// xattr(7), answered as Linux' tmpfs without stored attributes: user.* is not supported, others are absent.
Result<void> check_attribute(UserIn<char> user_name) {
    char name[256];
    auto length = arch::copy_in_string(name, user_name.address(), sizeof name);
    if (!length) return fail(length.error() == Errno::kNameTooLong ? Errno::kRange : length.error());
    if (*length == 0) return fail(Errno::kRange);
    std::string_view text(name, *length);
    if (text.starts_with("security.") || text.starts_with("trusted.") || text.starts_with("system.posix_acl_"))
        return fail(Errno::kNoData);
    return fail(Errno::kOpNotSupp);
}

Result<size_t> get_attribute(UserIn<char> name) {
    TRY(check_attribute(name));
    return size_t{0};
}

Result<void> sys_setxattr(Context& context, UserIn<char> path, UserIn<char> name, UserIn<std::byte>, size_t, int) {
    TRY(path_at(context, kAtFdCwd, path, 0));
    auto checked = check_attribute(name);
    return fail(!checked && checked.error() != Errno::kNoData ? checked.error() : Errno::kOpNotSupp);
}
Result<void> sys_lsetxattr(Context& context, UserIn<char> path, UserIn<char> name, UserIn<std::byte>, size_t, int) {
    TRY(path_at(context, kAtFdCwd, path, kAtSymlinkNoFollow));
    auto checked = check_attribute(name);
    return fail(!checked && checked.error() != Errno::kNoData ? checked.error() : Errno::kOpNotSupp);
}
Result<void> sys_fsetxattr(Context& context, int fd, UserIn<char> name, UserIn<std::byte>, size_t, int) {
    TRY(context.file(fd));
    auto checked = check_attribute(name);
    return fail(!checked && checked.error() != Errno::kNoData ? checked.error() : Errno::kOpNotSupp);
}
Result<size_t> sys_getxattr(Context& context, UserIn<char> path, UserIn<char> name, UserOut<std::byte>, size_t) {
    TRY(path_at(context, kAtFdCwd, path, 0));
    return get_attribute(name);
}
Result<size_t> sys_lgetxattr(Context& context, UserIn<char> path, UserIn<char> name, UserOut<std::byte>, size_t) {
    TRY(path_at(context, kAtFdCwd, path, kAtSymlinkNoFollow));
    return get_attribute(name);
}
Result<size_t> sys_fgetxattr(Context& context, int fd, UserIn<char> name, UserOut<std::byte>, size_t) {
    TRY(context.file(fd));
    return get_attribute(name);
}
Result<size_t> sys_listxattr(Context& context, UserIn<char> path, UserOut<char>, size_t) {
    TRY(path_at(context, kAtFdCwd, path, 0));
    return size_t{0};
}
Result<size_t> sys_llistxattr(Context& context, UserIn<char> path, UserOut<char>, size_t) {
    TRY(path_at(context, kAtFdCwd, path, kAtSymlinkNoFollow));
    return size_t{0};
}
Result<size_t> sys_flistxattr(Context& context, int fd, UserOut<char>, size_t) {
    TRY(context.file(fd));
    return size_t{0};
}
Result<void> sys_removexattr(Context& context, UserIn<char> path, UserIn<char> name) {
    TRY(path_at(context, kAtFdCwd, path, 0));
    return check_attribute(name);
}
Result<void> sys_lremovexattr(Context& context, UserIn<char> path, UserIn<char> name) {
    TRY(path_at(context, kAtFdCwd, path, kAtSymlinkNoFollow));
    return check_attribute(name);
}
Result<void> sys_fremovexattr(Context& context, int fd, UserIn<char> name) {
    TRY(context.file(fd));
    return check_attribute(name);
}

constexpr SystemCall kFileSystemCalls[] = {
    CALL(137, statfs, "path, buf"),
    CALL(138, fstatfs, "fd, buf"),
    CALL(165, mount, "source, target, filesystemtype, mountflags, data",
         "tmpfs, proc, sysfs, devtmpfs, devpts, bind (not recursive), remount; MS_MOVE is EINVAL"),
    CALL(166, umount2, "target, flags", "MNT_EXPIRE is EINVAL"),
    CALL(188, setxattr, "path, name, value, size, flags", "nothing is stored: EOPNOTSUPP"),
    CALL(189, lsetxattr, "path, name, value, size, flags", "nothing is stored: EOPNOTSUPP"),
    CALL(190, fsetxattr, "fd, name, value, size, flags", "nothing is stored: EOPNOTSUPP"),
    CALL(191, getxattr, "path, name, value, size"),
    CALL(192, lgetxattr, "path, name, value, size"),
    CALL(193, fgetxattr, "fd, name, value, size"),
    CALL(194, listxattr, "path, list, size"),
    CALL(195, llistxattr, "path, list, size"),
    CALL(196, flistxattr, "fd, list, size"),
    CALL(197, removexattr, "path, name"),
    CALL(198, lremovexattr, "path, name"),
    CALL(199, fremovexattr, "fd, name"),
};

}  // namespace

const SystemCallFamily kFileSystemFamily{"file systems", kFileSystemCalls};

}  // namespace abi
