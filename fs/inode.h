// Inodes and file systems: what has a number, attributes and content. Names are in fs/path.h.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

#include "core/lock.h"
#include "core/memory.h"
#include "core/string.h"
#include "fs/io.h"
#include "mm/page_cache.h"

namespace fs {

class File;
class FileSystem;
class InodeLocks;
struct LookupRequest;
struct OpenRequest;
struct Path;

// st_mode's type bits (inode(7)).
enum class FileType : uint16_t {
    kFifo = 0010000, kCharacter = 0020000, kDirectory = 0040000, kBlock = 0060000,
    kRegular = 0100000, kSymlink = 0120000, kSocket = 0140000,
};

struct Timespec { int64_t seconds = 0; int64_t nanoseconds = 0; };

struct Attributes {
    uint64_t inode_number = 0;
    FileType type = FileType::kRegular;
    uint16_t permissions = 0;  // 07777
    uint32_t uid = 0, gid = 0;
    uint32_t link_count = 1;
    uint64_t size = 0;
    uint64_t blocks = 0;  // of 512 bytes
    uint64_t device_number = 0;  // st_rdev of device nodes
    Timespec access, modification, change;
};

// What setattr changes: chmod, chown, truncate, utimensat.
struct AttributeChange {
    bool set_permissions = false, set_uid = false, set_gid = false, set_size = false, set_access = false,
         set_modification = false;
    uint16_t permissions = 0;
    uint32_t uid = 0, gid = 0;
    uint64_t size = 0;
    Timespec access, modification;
};

// The part of the attributes that permission checks read.
struct Ownership {
    FileType type;
    uint16_t permissions;
    uint32_t uid, gid;
};

// Receives directory entries; returns false when full (the entry is then asked for again next time).
class DirectorySink {
  public:
    virtual bool entry(std::string_view name, uint64_t inode_number, FileType type, uint64_t next_offset) = 0;

  protected:
    ~DirectorySink() = default;
};

enum class Linkable : bool { kNo, kYes };

// Base of all inodes. Methods that a type lacks return the errno that Linux gives for that type (ENOTDIR,
// EINVAL, EPERM, EROFS, ...). Each implementation has its own lock (Rank::kInode).
class Inode : public mm::Mappable {
  public:
    virtual FileSystem& file_system() = 0;
    virtual Attributes attributes() = 0;
    virtual Result<void> change_attributes(const AttributeChange& change);  // EPERM
    virtual Ownership ownership();  // override where attributes() is slow

    // Directories. Names are single components, never "." or "..", at most 255 bytes.
    virtual Result<Ref<Inode>> lookup(std::string_view name);
    virtual Result<Ref<Inode>> create(std::string_view name, FileType type, uint16_t permissions, uint32_t uid,
                                      uint32_t gid, uint64_t device_number);
    virtual Result<Ref<Inode>> create_symlink(std::string_view name, std::string_view target, uint32_t uid,
                                              uint32_t gid);
    // O_TMPFILE: a regular file without a name; `linkable` says whether link() may give it one. EOPNOTSUPP.
    virtual Result<Ref<Inode>> create_unnamed(uint16_t permissions, uint32_t uid, uint32_t gid, Linkable linkable);
    virtual Result<void> link(std::string_view name, Inode& target);
    virtual Result<void> unlink(std::string_view name);
    virtual Result<void> remove_directory(std::string_view name);
    virtual Result<void> rename(std::string_view old_name, Inode& new_directory, std::string_view new_name,
                                unsigned rename_flags);
    // Entries from `offset` on (0 is the start; "." and ".." are added by the caller). May call the sink under a
    // lock of rank kInode.
    virtual Result<void> read_directory(uint64_t offset, DirectorySink& sink);
    virtual bool is_read_only() { return false; }

    // Symbolic links: target without NUL.
    virtual Result<core::String> read_link();
    // The same without a copy, if the target is stored and never changes while the inode lives; else empty.
    virtual std::string_view stored_link_target() { return {}; }
    // Magic links (/proc/<pid>/fd/N, exe, cwd, root): where following leads, whatever the text says. ENODATA: an
    // ordinary link. What has no path is given one by fs::detached_path().
    virtual Result<Path> follow_magic_link(const LookupRequest& request);

    // Makes the open file (the caller has checked permissions). Regular files: fs/regular_file.h; FIFOs,
    // sockets and devices make their own kinds.
    virtual Result<Ref<File>> open(const OpenRequest& request);

    // Writers and the programs that exclude them (ETXTBSY, execve(2), open(2)): > 0 counts open writers, < 0
    // counts running images. Each success is undone by the matching end_...().
    Result<void> begin_write();
    void end_write() { writers_.fetch_sub(1, std::memory_order_release); }
    Result<void> begin_execution();
    void end_execution() { writers_.fetch_add(1, std::memory_order_release); }

    // mm::Mappable; files without pages never get here because File::mappable() refuses (ENODEV).
    mm::PageCache& page_cache() override;
    uint64_t mapped_size() const override { return 0; }
    std::string_view map_name() const override { return {}; }

    ~Inode() override;
    // File locks (fs/locks.h); null until the first one.
    std::atomic<InodeLocks*> locks{nullptr};

  private:
    std::atomic<int> writers_{0};
};

struct FileSystemStatistics { uint64_t type_magic, block_size, blocks, free_blocks, inodes, free_inodes, name_max; };

class FileSystem : public core::RefCounted {
  public:
    virtual Ref<Inode> root() = 0;
    virtual FileSystemStatistics statistics() = 0;
    virtual std::string_view type_name() const = 0;
    virtual uint64_t device_number() const = 0;  // st_dev; see allocate_device_number()
    // Directory contents can change under the dentry cache (proc): never cache look-ups.
    virtual bool volatile_names() const { return false; }
    // The last mount is gone: drop what keeps root and inodes alive in a cycle.
    virtual void unmounted() {}
    std::atomic<int> mount_count{0};
};

// A fresh st_dev for a file system without a block device: major 0.
uint64_t allocate_device_number();

}  // namespace fs
