// rename(2), renameat2(2).
#include "fs/names.h"
#include "fs/walk.h"

namespace fs {

namespace {

constexpr unsigned kNoReplace = 1, kExchange = 2, kWhiteout = 4;

bool is_special(std::string_view name) { return name.empty() || name == "." || name == ".."; }

// Locks one or two directories in ascending order of address; rename_lock() is held.
class DirectoryLocks {
  public:
    DirectoryLocks(Dentry& first, Dentry& second)
        : low_(&first < &second ? first : second), high_(&first < &second ? second : first) {
        low_.lock.lock_nested();
        if (&low_ != &high_) high_.lock.lock_nested();
    }
    DirectoryLocks(const DirectoryLocks&) = delete;
    ~DirectoryLocks() {
        if (&low_ != &high_) high_.lock.unlock();
        low_.lock.unlock();
    }

  private:
    Dentry& low_;
    Dentry& high_;
};

struct Side {
    const ParentLookup& where;
    Ref<Dentry> dentry;  // null: the new name does not exist
    bool is_directory() const { return dentry->type() == FileType::kDirectory; }
    Dentry& directory() const { return *where.parent.dentry; }
};

// The checks of vfs_rename's order; locks are held.
Result<void> check(const Side& from, const Side& to, unsigned flags, const Identity& identity) {
    if (to.dentry && (flags & kNoReplace)) return fail(Errno::kExist);
    if (!to.dentry && (flags & kExchange)) return fail(Errno::kNoEnt);
    if (!from.is_directory()) {
        if (from.where.trailing_slash) return fail(Errno::kNotDir);
        if (!(flags & kExchange) && to.where.trailing_slash) return fail(Errno::kNotDir);
    }
    if ((flags & kExchange) && !to.is_directory() && to.where.trailing_slash) return fail(Errno::kNotDir);
    if (to.directory().is_below_locked(*from.dentry)) return fail(Errno::kInval);
    if (to.dentry && from.directory().is_below_locked(*to.dentry))
        return fail(flags & kExchange ? Errno::kInval : Errno::kNotEmpty);
    return {};
}

Result<void> check_permissions(const Side& from, const Side& to, unsigned flags, const Identity& identity) {
    Inode& old_parent = from.directory().inode();
    Inode& new_parent = to.directory().inode();
    TRY(check_delete(old_parent, from.dentry->inode(), identity));
    if (to.dentry) {
        TRY(check_delete(new_parent, to.dentry->inode(), identity));
        if (!(flags & kExchange)) {
            if (from.is_directory() && !to.is_directory()) return fail(Errno::kNotDir);
            if (!from.is_directory() && to.is_directory()) return fail(Errno::kIsDir);
        }
    } else {
        if (to.directory().deleted()) return fail(Errno::kNoEnt);
        TRY(check_access(new_parent, kAccessWrite | kAccessExecute, identity));
    }
    if (&old_parent != &new_parent) {
        // A moved directory's ".." is written.
        if (from.is_directory()) TRY(check_access(from.dentry->inode(), kAccessWrite, identity));
        if ((flags & kExchange) && to.is_directory())
            TRY(check_access(to.dentry->inode(), kAccessWrite, identity));
    }
    if (from.dentry->is_mount_point() || (to.dentry && to.dentry->is_mount_point())) return fail(Errno::kBusy);
    return {};
}

}  // namespace

Result<void> rename(std::string_view old_path, const LookupRequest& old_request, std::string_view new_path,
                    const LookupRequest& new_request, unsigned flags) {
    if (flags & ~(kNoReplace | kExchange | kWhiteout)) return fail(Errno::kInval);
    if ((flags & kExchange) && (flags & (kNoReplace | kWhiteout))) return fail(Errno::kInval);
    if (flags & kWhiteout) return fail(Errno::kInval);  // as file systems without whiteouts answer

    auto old_where = TRY(lookup_parent(old_path, old_request));
    auto new_where = TRY(lookup_parent(new_path, new_request));
    if (!(old_where.parent.mount == new_where.parent.mount)) return fail(Errno::kXDev);
    if (is_special(old_where.name)) return fail(Errno::kBusy);
    if (is_special(new_where.name)) return fail(flags & kNoReplace ? Errno::kExist : Errno::kBusy);
    if (old_where.parent.mount->read_only()) return fail(Errno::kRoFs);
    Inode& old_parent = old_where.parent.inode();
    Inode& new_parent = new_where.parent.inode();
    if (old_parent.file_system().volatile_names())
        return old_parent.rename(old_where.name, new_parent, new_where.name, flags);

    // What may be dropped last lives outside of the locks.
    auto placeholder = TRY(Dentry::create(*new_where.parent.dentry, new_where.name, nullptr));
    Side from{old_where, nullptr}, to{new_where, nullptr};

    core::SpinGuard rename_guard(rename_lock());
    DirectoryLocks locks(*old_where.parent.dentry, *new_where.parent.dentry);
    from.dentry = TRY(child_locked(from.directory(), old_where.name));
    if (auto found = child_locked(to.directory(), new_where.name)) to.dentry = std::move(*found);
    else if (found.error() != Errno::kNoEnt) return fail(found.error());

    TRY(check(from, to, flags, old_request.identity));
    // rename(2): two names of one file, nothing to do.
    if (to.dentry && &from.dentry->inode() == &to.dentry->inode()) return {};
    TRY(check_permissions(from, to, flags, old_request.identity));
    TRY(old_parent.rename(old_where.name, new_parent, new_where.name, flags));
    if (flags & kExchange) dentry_exchanged_locked(*from.dentry, *to.dentry);
    else dentry_moved_locked(*from.dentry, *placeholder, to.dentry.get());
    return {};
}

}  // namespace fs
