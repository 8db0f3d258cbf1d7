// Names: dentries, mounts, path resolution (path_resolution(7)).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/intrusive.h"
#include "core/lock.h"
#include "core/memory.h"
#include "core/string.h"
#include "fs/dentry.h"
#include "fs/file.h"
#include "fs/inode.h"
#include "fs/mount.h"

namespace fs {

// A place in the tree.
struct Path {
    Ref<Mount> mount;
    Ref<Dentry> dentry;
    Inode& inode() const { return dentry->inode(); }
    bool empty() const { return !dentry; }
    bool operator==(const Path& other) const { return mount == other.mount && dentry == other.dentry; }
    // Absolute path as seen from `root`; "(deleted)" is appended for unlinked files, as Linux does.
    Result<core::String> to_string(const Path& root) const;
};

// Who asks: for permission checks (fsuid, fsgid, groups; root passes most).
struct Identity {
    uint32_t uid = 0, gid = 0;
    const uint32_t* groups = nullptr;
    size_t group_count = 0;
    bool is_root() const { return uid == 0; }
    bool in_group(uint32_t group) const;
};

// A process's root, working directory and umask (CLONE_FS).
class FsContext final : public core::RefCounted {
  public:
    Result<Ref<FsContext>> clone();
    Path root();
    Path working_directory();
    void set_root(Path path);
    void set_working_directory(Path path);
    uint16_t umask();
    uint16_t exchange_umask(uint16_t umask);

    FsContext(Path root, Path working_directory) : root_(root), working_directory_(working_directory) {}

  private:
    core::Spinlock lock_{core::Rank::kDentry};
    Path root_, working_directory_;
    uint16_t umask_ = 022;
};

// Permission bits for check_access(): R 4, W 2, X 1. EACCES; EROFS for writing to a read-only file system (of
// the inode; the mount's flag is checked by the operations below).
inline constexpr unsigned kAccessRead = 4, kAccessWrite = 2, kAccessExecute = 1;
Result<void> check_access(Inode& inode, unsigned wanted, const Identity& identity);

// What a look-up starts from and obeys.
struct LookupRequest {
    FsContext* context = nullptr;
    Identity identity;
    Ref<File> start;            // directory descriptor of *at() calls; null: working directory
    bool follow_last = true;    // follow a symbolic link in the last component
    bool empty_path = false;    // AT_EMPTY_PATH: "" means `start` itself
    bool create_intent = false;  // lookup_parent() only
    bool directory_only = false;  // ENOTDIR for anything else (as with a trailing slash)
};

// ENOENT, ENOTDIR, ELOOP (40 links), ENAMETOOLONG, EACCES.
Result<Path> lookup(std::string_view path, const LookupRequest& request);

// The parent directory and last component, for create/unlink/rename. `name` points into `path`.
struct ParentLookup {
    Path parent;
    std::string_view name;   // may be "." or "..": callers refuse with EINVAL/EEXIST/ENOTEMPTY as Linux does
    bool trailing_slash = false;
};
Result<ParentLookup> lookup_parent(std::string_view path, const LookupRequest& request);

// The operations behind the system calls; paths already in kernel memory. Errnos as the man pages.
Result<Ref<File>> open(std::string_view path, uint32_t flags, uint16_t mode, const LookupRequest& request);
Result<void> make_node(std::string_view path, FileType type, uint16_t mode, uint64_t device, const LookupRequest& request);
Result<void> make_directory(std::string_view path, uint16_t mode, const LookupRequest& request);
Result<void> make_symlink(std::string_view target, std::string_view path, const LookupRequest& request);
Result<void> make_link(const Path& existing, std::string_view new_path, const LookupRequest& request);
Result<void> unlink(std::string_view path, const LookupRequest& request);
Result<void> remove_directory(std::string_view path, const LookupRequest& request);
Result<void> rename(std::string_view old_path, const LookupRequest& old_request, std::string_view new_path,
                    const LookupRequest& new_request, unsigned flags);
// A bound AF_UNIX socket's inode: bind(2) makes it with make_node(kSocket) and finds it again by Path.

// Changes attributes after the permission checks of chmod(2), chown(2), utimensat(2) and truncate(2). EPERM,
// EACCES, EROFS, EISDIR. `times_now`: utimensat with UTIME_NOW for both, which a writer may do too.
enum class TimesCheck : uint8_t { kOwner, kOwnerOrWriter };
Result<void> change_attributes(const Path& path, AttributeChange change, const Identity& identity,
                               TimesCheck times = TimesCheck::kOwner);

// Mounting, for boot and mount(2).
Result<Path> make_root(Ref<FileSystem> file_system);
Result<void> mount(Ref<FileSystem> file_system, const Path& where, std::string_view source_name,
                   uint32_t mount_flags = 0);
// A place for an inode that is in no directory (an open pipe reached by /proc/self/fd). ENOMEM.
Result<Path> detached_path(Ref<Inode> inode, std::string_view name);

// The root of the machine: the boot image (an EROFS image in memory, which stays), made writable in memory
// (fs/overlay/). EINVAL after a log line that names what is broken.
Result<Path> make_boot_root(std::span<const std::byte> image);

}  // namespace fs
