// The dentry cache: names that were looked up, positive and negative (what Linux calls dcache).
//
// A dentry is a name in a directory. All look-ups of the VFS go through child(): a hit costs one hash, one
// bucket lock and one reference, and allocates nothing. The cache is bounded; a dentry that somebody refers to
// stays in it. Names of file systems with volatile_names() are never cached.
//
// Locking. Dentry::lock (Rank::kDentry) of a directory is held while its names change or are read from the file
// system into the cache. rename_lock() (Rank::kDentry too, taken first) is held while a parent or name of an
// existing dentry changes or is read. Two directories are locked by rename only, under rename_lock(), in
// ascending order of address. A bucket lock is innermost.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

#include "core/intrusive.h"
#include "core/lock.h"
#include "core/memory.h"
#include "core/string.h"
#include "fs/inode.h"

namespace fs {

class Dentry final : public core::RefCounted {
  public:
    // In no directory: the root of a file system, or the place of an anonymous file. ENOMEM.
    static Result<Ref<Dentry>> create_detached(Ref<Inode> inode, std::string_view name);
    // In `parent`, not cached yet. A null inode makes a negative one. ENOMEM.
    static Result<Ref<Dentry>> create(Dentry& parent, std::string_view name, Ref<Inode> inode);

    Inode& inode() const { return *inode_; }
    Ref<Inode> inode_ref() const { return inode_; }
    bool is_negative() const { return !inode_; }
    // The directory, also of an unlinked name; null for roots and detached dentries.
    Ref<Dentry> parent() const;
    bool is_root() const { return !parent_; }  // never changes
    // True after unlink, rmdir or being replaced by rename.
    bool deleted() const { return deleted_.load(std::memory_order_relaxed); }
    bool is_mount_point() const { return mounts_.load(std::memory_order_relaxed) != 0; }
    // Directly below `ancestor` or deeper, or the same. Caller holds rename_lock().
    bool is_below_locked(const Dentry& ancestor) const;
    std::string_view name_locked() const { return name(); }   // under rename_lock()
    const Dentry* parent_locked() const { return parent_.get(); }  // under rename_lock()

    FileType type() const { return type_; }  // not of negative ones

    core::Spinlock lock{core::Rank::kDentry};

    // For a dentry that never had a name in its directory (O_TMPFILE).
    void mark_unlinked() { deleted_.store(true, std::memory_order_relaxed); }
    // For a dentry prepared as negative, before it is cached.
    void set_inode(Ref<Inode> inode);

    Dentry(Ref<Dentry> parent, Ref<Inode> inode);
    ~Dentry() override;

  protected:
    // Frees a chain of parents without recursion.
    void last_reference_dropped() const override;

  private:
    friend class DentryCache;
    friend class MountTable;
    Result<void> set_name(std::string_view name);
    std::string_view name() const {
        return {name_size_ <= sizeof short_name_ ? short_name_ : long_name_.c_str(), name_size_};
    }
    bool matches(uint32_t hash, const Dentry& parent, std::string_view name) const;

    Dentry* next_ = nullptr;  // in its bucket
    uint32_t hash_ = 0;
    std::atomic<uint32_t> mounts_{0};
    std::atomic<bool> deleted_{false};
    bool hashed_ = false;     // under the bucket lock
    std::atomic<bool> used_{false};  // since the eviction hand last passed
    uint8_t name_size_ = 0;
    FileType type_{};
    std::atomic<uint32_t> cached_children_{0};
    Ref<Dentry> parent_;
    Ref<Inode> inode_;
    char short_name_[36];
    core::String long_name_;
};

// Serialises renames; see above.
core::Spinlock& rename_lock();

// The child `name` (not "." or "..", at most 255 bytes) of a directory: from the cache, else from its file
// system. ENOENT also from a negative dentry; errors of Inode::lookup().
Result<Ref<Dentry>> child(Dentry& directory, std::string_view name);
// Same, while the caller holds directory.lock.
Result<Ref<Dentry>> child_locked(Dentry& directory, std::string_view name);

// Changes of names that have succeeded in the file system, while the caller holds the directories' locks.
// They cannot fail. References returned are to be dropped after the locks.
void dentry_added_locked(Ref<Dentry> dentry);                        // replaces a negative one
void dentry_removed_locked(Dentry& dentry);                         // a directory's negative children go with it
// `moved` becomes `target_name` of `new_parent` (a prepared, uncached dentry lends place and name); `replaced`
// may be null. Exchange: both change places.
void dentry_moved_locked(Dentry& moved, Dentry& placeholder, Dentry* replaced);
void dentry_exchanged_locked(Dentry& first, Dentry& second);
// A file system dropped or changed names by itself: forgets the cached children of `directory`.
void forget_children(Dentry& directory);
void forget_file_system(const FileSystem& file_system);
// Evicts what nobody uses (memory pressure). Returns the number of dentries freed. No lock may be held.
size_t shrink_dentries(size_t wanted);
struct DentryStatistics { size_t cached, limit; };
DentryStatistics dentry_statistics();

}  // namespace fs
