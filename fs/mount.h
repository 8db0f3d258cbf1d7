// Mounted file systems and where they hang. One mount namespace for the whole machine.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/intrusive.h"
#include "core/lock.h"
#include "core/memory.h"
#include "core/string.h"
#include "fs/dentry.h"
#include "fs/inode.h"

namespace fs {

struct Path;

// mount(2) flags that are kept.
inline constexpr uint32_t kMountReadOnly = 1, kMountNoSuid = 2, kMountNoDev = 4, kMountNoExec = 8;

class Mount final : public core::RefCounted {
  public:
    // `root` is a directory of `file_system` (its root unless a bind mount), or one file. Not attached yet. ENOMEM.
    static Result<Ref<Mount>> create(Ref<FileSystem> file_system, Ref<Dentry> root, std::string_view source,
                                     uint32_t flags);

    FileSystem& file_system() const { return *file_system_; }
    const Ref<Dentry>& root() const { return root_; }
    bool attached() const { return attached_.load(std::memory_order_relaxed); }
    std::string_view source() const { return source_; }
    uint32_t flags() const { return flags_.load(std::memory_order_relaxed); }
    void set_flags(uint32_t flags) { flags_.store(flags, std::memory_order_relaxed); }
    bool read_only() const { return flags() & kMountReadOnly; }
    unsigned id() const { return id_; }  // of /proc/self/mountinfo
    // Where it hangs; empty Path for the root mount and detached ones.
    Path mount_point() const;

    Mount(Ref<FileSystem> file_system, Ref<Dentry> root, uint32_t flags);
    ~Mount() override;

  private:
    friend class MountTable;
    Ref<FileSystem> file_system_;
    Ref<Dentry> root_;
    core::String source_;
    std::atomic<uint32_t> flags_;
    unsigned id_;
    std::atomic<bool> attached_{false};
    // Guarded by the mount table's lock.
    Ref<Mount> parent_;
    Ref<Dentry> mount_point_;
    core::ListHook hook_;
};

// The mount on top of `where`, or null.
Ref<Mount> mounted_at(const Path& where);
// Mounts the file system, or `existing` again (bind). ENOTDIR unless both are directories (or both are not),
// ENOMEM. `mount` in fs/path.h is the short form.
Result<void> attach_mount(Ref<Mount> mount, const Path& where);
// umount2(2): EINVAL unless `path` is the root of a mount; EBUSY if somebody uses it and `lazy` is false, or
// mounts hang below it.
Result<void> unmount(const Path& path, bool lazy);
// In the order of mounting, a reference held during the visit: /proc/mounts, sync(2).
void for_each_mount(void (*visit)(void* context, Mount& mount), void* context);

// File system types by name, for mount(2) and /proc/filesystems. `create` gets mount(2)'s data argument.
struct FileSystemType {
    std::string_view name;
    Result<Ref<FileSystem>> (*create)(std::string_view options);
};
std::span<const FileSystemType> file_system_types();

}  // namespace fs
