#include "fs/mount.h"

#include "fs/device.h"
#include "fs/path.h"
#include "fs/tmpfs/tmpfs.h"

namespace fs {

namespace {

std::atomic<unsigned> next_mount_id{1};

constexpr FileSystemType kTypes[] = {
    {"tmpfs", tmpfs::create},
    {"proc", [](std::string_view) { return create_proc_file_system(); }},
    {"sysfs", [](std::string_view) { return create_sys_file_system(); }},
    {"devtmpfs", [](std::string_view) { return create_device_file_system(); }},
    {"devpts", [](std::string_view) { return create_pts_file_system(); }},
};

}  // namespace

// Attached mounts in order of mounting; the table owns a reference to each. The lock is taken inside
// rename_lock() (same rank), and nothing is taken inside it.
class MountTable {
  public:
    static Ref<Mount> find(const Path& where) {
        core::SpinGuard guard = lock();
        // The latest mount on a place is the one that is seen.
        for (auto it = mounts_.rbegin(); it != mounts_.rend(); ++it) {
            if (it->parent_ == where.mount && it->mount_point_ == where.dentry) return Ref<Mount>(&*it);
        }
        return nullptr;
    }
    static void attach(Ref<Mount> mount, const Path& where) {
        core::SpinGuard guard = lock();
        if (!where.empty()) {
            mount->parent_ = where.mount;
            mount->mount_point_ = where.dentry;
            where.dentry->mounts_.fetch_add(1, std::memory_order_relaxed);
        }
        mount->attached_.store(true, std::memory_order_relaxed);
        mounts_.push_back(*mount.release());
    }
    static Path place_of(const Mount& mount) {
        core::SpinGuard guard = lock();
        return {mount.parent_, mount.mount_point_};
    }
    static Result<void> detach(Mount& mount, bool lazy) {
        Ref<Mount> owned;
        Path place;
        {
            core::SpinGuard guard = lock();
            if (!mount.hook_.is_linked() || !mount.parent_) return fail(Errno::kInval);
            for (Mount& other : mounts_) {
                if (other.parent_ == &mount && !lazy) return fail(Errno::kBusy);
            }
            // The table's reference and the caller's path.
            if (!lazy && mount.reference_count() > 2) return fail(Errno::kBusy);
            mount.hook_.unlink();
            mount.attached_.store(false, std::memory_order_relaxed);
            owned = Ref<Mount>::adopt(&mount);
            mount.mount_point_->mounts_.fetch_sub(1, std::memory_order_relaxed);
            place = {std::move(mount.parent_), std::move(mount.mount_point_)};
        }
        return {};
    }
    static Ref<Mount> next_after(Mount* previous) {
        core::SpinGuard guard = lock();
        auto it = mounts_.begin();
        if (previous) {
            if (!previous->hook_.is_linked()) return nullptr;
            it = ++mounts_.iterator_to(*previous);
        }
        return it == mounts_.end() ? nullptr : Ref<Mount>(&*it);
    }

  private:
    static core::SpinGuard lock() { return core::SpinGuard(lock_, core::SpinGuard::Nested{}); }
    static constinit inline core::Spinlock lock_{core::Rank::kDentry};
    // Never destroyed: what is mounted at the end stays mounted.
    using List = core::List<Mount, &Mount::hook_>;
    alignas(List) static inline std::byte storage_[sizeof(List)];
    static inline List& mounts_ = *new (storage_) List;
};

Mount::Mount(Ref<FileSystem> file_system, Ref<Dentry> root, uint32_t flags)
    : file_system_(std::move(file_system)), root_(std::move(root)), flags_(flags),
      id_(next_mount_id.fetch_add(1, std::memory_order_relaxed)) {
    file_system_->mount_count.fetch_add(1, std::memory_order_relaxed);
}

Mount::~Mount() {
    if (file_system_->mount_count.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    root_.reset();
    forget_file_system(*file_system_);
    file_system_->unmounted();
}

Result<Ref<Mount>> Mount::create(Ref<FileSystem> file_system, Ref<Dentry> root, std::string_view source,
                                 uint32_t flags) {
    auto source_copy = TRY(core::String::create(source));
    auto mount = TRY(core::make_ref<Mount>(std::move(file_system), std::move(root), flags));
    mount->source_ = std::move(source_copy);
    return mount;
}

Path Mount::mount_point() const { return MountTable::place_of(*this); }

Ref<Mount> mounted_at(const Path& where) { return MountTable::find(where); }

Result<void> attach_mount(Ref<Mount> mount, const Path& where) {
    if (!where.empty()) {
        bool on_directory = where.dentry->type() == FileType::kDirectory;
        bool is_directory = mount->root()->type() == FileType::kDirectory;
        if (on_directory != is_directory) return fail(Errno::kNotDir);
        if (where.dentry->deleted()) return fail(Errno::kNoEnt);
    }
    MountTable::attach(std::move(mount), where);
    return {};
}

Result<void> unmount(const Path& path, bool lazy) {
    if (!(path.dentry == path.mount->root())) return fail(Errno::kInval);
    return MountTable::detach(*path.mount, lazy);
}

void for_each_mount(void (*visit)(void* context, Mount& mount), void* context) {
    for (Ref<Mount> mount = MountTable::next_after(nullptr); mount; mount = MountTable::next_after(mount.get()))
        visit(context, *mount);
}

std::span<const FileSystemType> file_system_types() { return kTypes; }

Result<Path> make_root(Ref<FileSystem> file_system) {
    auto dentry = TRY(Dentry::create_detached(file_system->root(), ""));
    auto mount = TRY(Mount::create(file_system, dentry, "rootfs", 0));
    TRY(attach_mount(mount, Path()));
    return Path{mount, dentry};
}

Result<void> mount(Ref<FileSystem> file_system, const Path& where, std::string_view source_name,
                   uint32_t mount_flags) {
    auto dentry = TRY(Dentry::create_detached(file_system->root(), ""));
    auto mount = TRY(Mount::create(std::move(file_system), std::move(dentry), source_name, mount_flags));
    return attach_mount(std::move(mount), where);
}

Result<Path> detached_path(Ref<Inode> inode, std::string_view name) {
    Ref<FileSystem> file_system(&inode->file_system());
    auto dentry = TRY(Dentry::create_detached(std::move(inode), name));
    auto mount = TRY(Mount::create(std::move(file_system), dentry, "none", 0));
    return Path{std::move(mount), std::move(dentry)};
}

}  // namespace fs
