// Names: mkdir(2), rename(2), link(2), unlink(2), symlink(2), readlink(2), mknod(2), getdents64(2), chdir(2).
#include <algorithm>

#include "fs/path_file.h"
#include "libc-compat/families.h"
#include "libc-compat/file_arguments.h"

namespace abi {

namespace {

Result<void> sys_mkdirat(Context& context, int directory_fd, UserIn<char> user_path, uint32_t mode) {
    StackPath buffer;
    std::string_view path = TRY(buffer.read(user_path));
    return fs::make_directory(path, mode & 07777, TRY(request_at(context, directory_fd, path)));
}
Result<void> sys_mkdir(Context& context, UserIn<char> path, uint32_t mode) {
    return sys_mkdirat(context, kAtFdCwd, path, mode);
}

Result<void> sys_mknodat(Context& context, int directory_fd, UserIn<char> user_path, uint32_t mode, uint32_t device) {
    fs::FileType type;
    switch (mode & 0170000) {
        case 0:
        case 0100000: type = fs::FileType::kRegular; break;
        case 0010000: type = fs::FileType::kFifo; break;
        case 0020000: type = fs::FileType::kCharacter; break;
        case 0060000: type = fs::FileType::kBlock; break;
        case 0140000: type = fs::FileType::kSocket; break;
        case 0040000: return fail(Errno::kPerm);
        default: return fail(Errno::kInval);
    }
    StackPath buffer;
    std::string_view path = TRY(buffer.read(user_path));
    bool is_device = type == fs::FileType::kCharacter || type == fs::FileType::kBlock;
    return fs::make_node(path, type, mode & 07777, is_device ? device : 0,
                         TRY(request_at(context, directory_fd, path)));
}
Result<void> sys_mknod(Context& context, UserIn<char> path, uint32_t mode, uint32_t device) {
    return sys_mknodat(context, kAtFdCwd, path, mode, device);
}

Result<void> sys_unlinkat(Context& context, int directory_fd, UserIn<char> user_path, uint32_t flags) {
    if (flags & ~kAtRemoveDir) return fail(Errno::kInval);
    StackPath buffer;
    std::string_view path = TRY(buffer.read(user_path));
    auto request = TRY(request_at(context, directory_fd, path));
    return flags & kAtRemoveDir ? fs::remove_directory(path, request) : fs::unlink(path, request);
}
Result<void> sys_unlink(Context& context, UserIn<char> path) { return sys_unlinkat(context, kAtFdCwd, path, 0); }
Result<void> sys_rmdir(Context& context, UserIn<char> path) {
    return sys_unlinkat(context, kAtFdCwd, path, kAtRemoveDir);
}

Result<void> sys_renameat2(Context& context, int old_directory, UserIn<char> user_old, int new_directory,
                           UserIn<char> user_new, uint32_t flags) {
    HeapPath old_buffer, new_buffer;
    std::string_view old_path = TRY(old_buffer.read(user_old)), new_path = TRY(new_buffer.read(user_new));
    auto old_request = TRY(request_at(context, old_directory, old_path));
    auto new_request = TRY(request_at(context, new_directory, new_path));
    return fs::rename(old_path, old_request, new_path, new_request, flags);
}
Result<void> sys_renameat(Context& context, int old_directory, UserIn<char> old_path, int new_directory,
                          UserIn<char> new_path) {
    return sys_renameat2(context, old_directory, old_path, new_directory, new_path, 0);
}
Result<void> sys_rename(Context& context, UserIn<char> old_path, UserIn<char> new_path) {
    return sys_renameat2(context, kAtFdCwd, old_path, kAtFdCwd, new_path, 0);
}

Result<void> sys_linkat(Context& context, int old_directory, UserIn<char> user_old, int new_directory,
                        UserIn<char> user_new, uint32_t flags) {
    if (flags & ~(kAtSymlinkFollow | kAtEmptyPath)) return fail(Errno::kInval);
    // linkat(2): AT_EMPTY_PATH needs CAP_DAC_READ_SEARCH.
    if ((flags & kAtEmptyPath) && !context.credentials().identity().is_root()) return fail(Errno::kNoEnt);
    HeapPath old_buffer, new_buffer;
    std::string_view old_path = TRY(old_buffer.read(user_old)), new_path = TRY(new_buffer.read(user_new));
    auto old_request = TRY(request_at(context, old_directory, old_path,
                                      flags & kAtSymlinkFollow ? LastLink::kFollow : LastLink::kNoFollow,
                                      flags & kAtEmptyPath));
    fs::Path existing = TRY(fs::lookup(old_path, old_request));
    return fs::make_link(existing, new_path, TRY(request_at(context, new_directory, new_path)));
}
Result<void> sys_link(Context& context, UserIn<char> old_path, UserIn<char> new_path) {
    return sys_linkat(context, kAtFdCwd, old_path, kAtFdCwd, new_path, 0);
}

Result<void> sys_symlinkat(Context& context, UserIn<char> user_target, int directory_fd, UserIn<char> user_path) {
    HeapPath target_buffer, buffer;
    std::string_view target = TRY(target_buffer.read(user_target)), path = TRY(buffer.read(user_path));
    return fs::make_symlink(target, path, TRY(request_at(context, directory_fd, path)));
}
Result<void> sys_symlink(Context& context, UserIn<char> target, UserIn<char> path) {
    return sys_symlinkat(context, target, kAtFdCwd, path);
}

Result<size_t> sys_readlinkat(Context& context, int directory_fd, UserIn<char> user_path, UserOut<char> destination,
                              int size) {
    if (size <= 0) return fail(Errno::kInval);
    StackPath buffer;
    std::string_view path = TRY(buffer.read(user_path));
    auto request = TRY(request_at(context, directory_fd, path, LastLink::kNoFollow, path.empty()));
    fs::Path link = TRY(fs::lookup(path, request));
    if (link.dentry->type() != fs::FileType::kSymlink)
        return fail(path.empty() ? Errno::kNoEnt : Errno::kInval);
    core::String copy;
    std::string_view target = link.inode().stored_link_target();
    if (target.empty()) {
        copy = TRY(link.inode().read_link());
        target = copy;
    }
    size_t count = std::min<size_t>(target.size(), static_cast<size_t>(size));
    TRY(arch::copy_out(destination.address(), target.data(), count));
    return count;
}
Result<size_t> sys_readlink(Context& context, UserIn<char> path, UserOut<char> destination, int size) {
    return sys_readlinkat(context, kAtFdCwd, path, destination, size);
}

uint8_t directory_type(fs::FileType type) { return static_cast<uint8_t>(static_cast<uint16_t>(type) >> 12); }

// struct linux_dirent64, and the older linux_dirent whose type is the last byte of the record (getdents(2)).
enum class EntryFormat : uint8_t { kOld, k64 };
class UserEntries final : public fs::DirectorySink {
  public:
    UserEntries(EntryFormat format, UserAddr address, size_t size) : format_(format), at_(address), left_(size) {}
    bool entry(std::string_view name, uint64_t inode_number, fs::FileType type, uint64_t next_offset) override {
        struct {
            uint64_t inode_number, next_offset;
            uint16_t size;
            char rest[256 + 14];
        } record;
        static_assert(offsetof(decltype(record), rest) == 18);
        bool old = format_ == EntryFormat::kOld;
        size_t name_at = old ? 0 : 1;
        size_t size = core::align_up(18 + name_at + name.size() + 1 + (old ? 1 : 0), 8);
        if (size > left_) {
            too_small_ = done_ == 0;
            return false;
        }
        record.inode_number = inode_number;
        record.next_offset = next_offset;
        record.size = static_cast<uint16_t>(size);
        std::memset(record.rest, 0, size - 18);
        std::memcpy(record.rest + name_at, name.data(), name.size());
        if (old) record.rest[size - 18 - 1] = static_cast<char>(directory_type(type));
        else record.rest[0] = static_cast<char>(directory_type(type));
        if (auto copied = arch::copy_out(at_, &record, size); !copied) {
            error_ = copied.error();
            failed_ = true;
            return false;
        }
        at_ += size;
        left_ -= size;
        done_ += size;
        return true;
    }
    Result<size_t> result() const {
        if (done_ > 0) return done_;
        if (failed_) return fail(error_);
        if (too_small_) return fail(Errno::kInval);
        return size_t{0};
    }

  private:
    EntryFormat format_;
    UserAddr at_;
    size_t left_, done_ = 0;
    bool too_small_ = false, failed_ = false;
    Errno error_{};
};

Result<size_t> list_directory(Context& context, EntryFormat format, int fd, UserAddr address, uint32_t size) {
    auto file = TRY(context.file(fd));
    if (!file->readable()) return fail(Errno::kBadF);
    if (!UserSegments::is_user_range(address.value(), size)) return fail(Errno::kFault);
    UserEntries entries(format, address, size);
    if (file->attributes().type != fs::FileType::kDirectory) return fail(Errno::kNotDir);
    fs::TurnGuard guard(file->position_lock);
    TRY(file->read_directory(entries));
    return entries.result();
}
Result<size_t> sys_getdents64(Context& context, int fd, UserOut<std::byte> entries, uint32_t size) {
    return list_directory(context, EntryFormat::k64, fd, entries.address(), size);
}
Result<size_t> sys_getdents(Context& context, int fd, UserOut<std::byte> entries, uint32_t size) {
    return list_directory(context, EntryFormat::kOld, fd, entries.address(), size);
}

Result<void> enter(Context& context, fs::Path directory) {
    if (directory.dentry->type() != fs::FileType::kDirectory) return fail(Errno::kNotDir);
    TRY(fs::check_access(directory.inode(), fs::kAccessExecute, context.credentials().identity()));
    context.fs_context().set_working_directory(std::move(directory));
    return {};
}
Result<void> sys_chdir(Context& context, UserIn<char> path) {
    return enter(context, TRY(path_at(context, kAtFdCwd, path, 0)));
}
Result<void> sys_fchdir(Context& context, int fd) {
    auto file = TRY(context.files().get_any(fd));
    if (!file->path()) return fail(Errno::kNotDir);
    return enter(context, *file->path());
}
Result<void> sys_chroot(Context& context, UserIn<char> path) {
    fs::Path directory = TRY(path_at(context, kAtFdCwd, path, 0));
    if (directory.dentry->type() != fs::FileType::kDirectory) return fail(Errno::kNotDir);
    TRY(fs::check_access(directory.inode(), fs::kAccessExecute, context.credentials().identity()));
    if (context.credentials().euid != 0) return fail(Errno::kPerm);
    context.fs_context().set_root(std::move(directory));
    return {};
}

Result<size_t> sys_getcwd(Context& context, UserOut<char> buffer, size_t size) {
    fs::Path here = context.fs_context().working_directory();
    if (here.dentry->deleted()) return fail(Errno::kNoEnt);
    core::String text = TRY(here.to_string(context.fs_context().root()));
    if (text.size() + 1 > size) return fail(Errno::kRange);
    TRY(arch::copy_out(buffer.address(), text.c_str(), text.size() + 1));
    return text.size() + 1;
}

Result<int> sys_umask(Context& context, uint32_t mask) {
    return int{context.fs_context().exchange_umask(static_cast<uint16_t>(mask & 0777))};
}

constexpr SystemCall kDirectoryCalls[] = {
    CALL(78, getdents, "fd, dirp, count"),
    CALL(79, getcwd, "buf, size"),
    CALL(80, chdir, "path"),
    CALL(81, fchdir, "fd"),
    CALL(82, rename, "oldpath, newpath"),
    CALL(83, mkdir, "pathname, mode"),
    CALL(84, rmdir, "pathname"),
    CALL(86, link, "oldpath, newpath"),
    CALL(87, unlink, "pathname"),
    CALL(88, symlink, "target, linkpath"),
    CALL(89, readlink, "pathname, buf, bufsiz"),
    CALL(95, umask, "mask"),
    CALL(133, mknod, "pathname, mode, dev"),
    CALL(161, chroot, "path"),
    CALL(217, getdents64, "fd, dirp, count"),
    CALL(258, mkdirat, "dirfd, pathname, mode"),
    CALL(259, mknodat, "dirfd, pathname, mode, dev"),
    CALL(263, unlinkat, "dirfd, pathname, flags"),
    CALL(264, renameat, "olddirfd, oldpath, newdirfd, newpath"),
    CALL(265, linkat, "olddirfd, oldpath, newdirfd, newpath, flags"),
    CALL(266, symlinkat, "target, newdirfd, linkpath"),
    CALL(267, readlinkat, "dirfd, pathname, buf, bufsiz"),
    CALL(316, renameat2, "olddirfd, oldpath, newdirfd, newpath, flags", "RENAME_WHITEOUT is EINVAL"),
};

}  // namespace

const SystemCallFamily kDirectoryFamily{"names and directories", kDirectoryCalls};

}  // namespace abi
