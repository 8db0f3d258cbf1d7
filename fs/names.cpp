#include "fs/names.h"

#include "fs/walk.h"

namespace fs {

namespace {

constexpr uint16_t kSetGid = 02000, kGroupExecute = 00010, kSticky = 01000;

bool is_special(std::string_view name) { return name.empty() || name == "." || name == ".."; }

// Runs `make(directory inode)` for a name that does not exist and caches what it made.
template <typename Make>
Result<Ref<Dentry>> add(const Path& directory, std::string_view name, const Identity& identity, Make make) {
    Inode& parent = directory.inode();
    auto prepared = TRY(Dentry::create(*directory.dentry, name, nullptr));
    auto checked_make = [&]() -> Result<Ref<Inode>> {
        if (directory.mount->read_only()) return fail(Errno::kRoFs);
        if (directory.dentry->deleted()) return fail(Errno::kNoEnt);
        TRY(check_access(parent, kAccessWrite | kAccessExecute, identity));
        return make(parent);
    };
    if (parent.file_system().volatile_names()) {
        auto existing = parent.lookup(name);
        if (existing) return fail(Errno::kExist);
        if (existing.error() != Errno::kNoEnt) return fail(existing.error());
        prepared->set_inode(TRY(checked_make()));
        return prepared;
    }
    Ref<Dentry> found;  // dropped after the lock
    core::SpinGuard guard(directory.dentry->lock);
    auto existing = child_locked(*directory.dentry, name);
    if (existing) {
        found = std::move(*existing);
        return fail(Errno::kExist);
    }
    if (existing.error() != Errno::kNoEnt) return fail(existing.error());
    prepared->set_inode(TRY(checked_make()));
    dentry_added_locked(prepared);
    return prepared;
}

// Runs `remove(directory inode)` for an existing name after `check(victim)`.
template <typename Check, typename Remove>
Result<void> remove(const Path& directory, std::string_view name, const Identity& identity, Check check,
                    Remove remove_from) {
    Inode& parent = directory.inode();
    Ref<Dentry> victim;  // dropped after the lock: it may be the file's last reference
    auto checked_remove = [&]() -> Result<void> {
        if (directory.mount->read_only()) return fail(Errno::kRoFs);
        TRY(check_delete(parent, victim->inode(), identity));
        TRY(check(*victim));
        if (victim->is_mount_point()) return fail(Errno::kBusy);
        return remove_from(parent);
    };
    if (parent.file_system().volatile_names()) {
        victim = TRY(child(*directory.dentry, name));
        return checked_remove();
    }
    core::SpinGuard guard(directory.dentry->lock);
    victim = TRY(child_locked(*directory.dentry, name));
    TRY(checked_remove());
    dentry_removed_locked(*victim);
    return {};
}

}  // namespace

NewNodeOwner new_node_owner(Inode& directory, FileType type, uint16_t permissions, const Identity& identity) {
    Ownership parent = directory.ownership();
    NewNodeOwner owner{identity.uid, identity.gid, static_cast<uint16_t>(permissions & 07777)};
    if (!(parent.permissions & kSetGid)) return owner;
    owner.gid = parent.gid;
    if (type == FileType::kDirectory) owner.permissions |= kSetGid;
    else if ((owner.permissions & (kSetGid | kGroupExecute)) == (kSetGid | kGroupExecute) && !identity.is_root() &&
             !identity.in_group(parent.gid))
        owner.permissions &= ~kSetGid;
    return owner;
}

Result<void> check_delete(Inode& directory, Inode& victim, const Identity& identity) {
    TRY(check_access(directory, kAccessWrite | kAccessExecute, identity));
    Ownership parent = directory.ownership();
    if (!(parent.permissions & kSticky) || identity.is_root() || parent.uid == identity.uid) return {};
    if (victim.ownership().uid != identity.uid) return fail(Errno::kPerm);
    return {};
}

Result<Ref<Dentry>> add_name(const Path& directory, std::string_view name, FileType type, uint16_t permissions,
                             uint64_t device_number, const Identity& identity) {
    return add(directory, name, identity, [&](Inode& parent) {
        NewNodeOwner owner = new_node_owner(parent, type, permissions, identity);
        return parent.create(name, type, owner.permissions, owner.uid, owner.gid, device_number);
    });
}

Result<void> make_node(std::string_view path, FileType type, uint16_t mode, uint64_t device,
                       const LookupRequest& request) {
    // mknod(2): devices need CAP_MKNOD.
    if ((type == FileType::kCharacter || type == FileType::kBlock) && !request.identity.is_root())
        return fail(Errno::kPerm);
    auto where = TRY(lookup_parent(path, request));
    if (is_special(where.name)) return fail(Errno::kExist);
    if (where.trailing_slash) {
        // Only directories may be named with a slash: what is there exists, what is not cannot be made.
        TRY(child(*where.parent.dentry, where.name));
        return fail(Errno::kExist);
    }
    TRY(add_name(where.parent, where.name, type, mode & ~request.context->umask(), device, request.identity));
    return {};
}

Result<void> make_directory(std::string_view path, uint16_t mode, const LookupRequest& request) {
    auto where = TRY(lookup_parent(path, request));
    if (is_special(where.name)) return fail(Errno::kExist);
    TRY(add_name(where.parent, where.name, FileType::kDirectory, mode & 01777 & ~request.context->umask(), 0,
                 request.identity));
    return {};
}

Result<void> make_symlink(std::string_view target, std::string_view path, const LookupRequest& request) {
    if (target.empty()) return fail(Errno::kNoEnt);
    auto where = TRY(lookup_parent(path, request));
    if (is_special(where.name)) return fail(Errno::kExist);
    if (where.trailing_slash) {
        TRY(child(*where.parent.dentry, where.name));
        return fail(Errno::kExist);
    }
    TRY(add(where.parent, where.name, request.identity, [&](Inode& parent) {
        NewNodeOwner owner = new_node_owner(parent, FileType::kSymlink, 0777, request.identity);
        return parent.create_symlink(where.name, target, owner.uid, owner.gid);
    }));
    return {};
}

Result<void> make_link(const Path& existing, std::string_view new_path, const LookupRequest& request) {
    auto where = TRY(lookup_parent(new_path, request));
    if (is_special(where.name)) return fail(Errno::kExist);
    if (where.trailing_slash) {
        TRY(child(*where.parent.dentry, where.name));
        return fail(Errno::kExist);
    }
    if (!(existing.mount == where.parent.mount)) return fail(Errno::kXDev);
    TRY(add(where.parent, where.name, request.identity, [&](Inode& parent) -> Result<Ref<Inode>> {
        if (existing.dentry->type() == FileType::kDirectory) return fail(Errno::kPerm);
        if (&parent.file_system() != &existing.inode().file_system()) return fail(Errno::kXDev);
        TRY(parent.link(where.name, existing.inode()));
        return existing.dentry->inode_ref();
    }));
    return {};
}

Result<void> unlink(std::string_view path, const LookupRequest& request) {
    auto where = TRY(lookup_parent(path, request));
    if (is_special(where.name)) return fail(Errno::kIsDir);
    if (where.trailing_slash) {
        auto found = TRY(child(*where.parent.dentry, where.name));
        return fail(found->type() == FileType::kDirectory ? Errno::kIsDir : Errno::kNotDir);
    }
    return remove(
        where.parent, where.name, request.identity,
        [](Dentry& victim) -> Result<void> {
            if (victim.type() == FileType::kDirectory) return fail(Errno::kIsDir);
            return {};
        },
        [&](Inode& parent) { return parent.unlink(where.name); });
}

Result<void> remove_directory(std::string_view path, const LookupRequest& request) {
    auto where = TRY(lookup_parent(path, request));
    if (where.name.empty()) return fail(Errno::kBusy);
    if (where.name == ".") return fail(Errno::kInval);
    if (where.name == "..") return fail(Errno::kNotEmpty);
    return remove(
        where.parent, where.name, request.identity,
        [](Dentry& victim) -> Result<void> {
            if (victim.type() != FileType::kDirectory) return fail(Errno::kNotDir);
            return {};
        },
        [&](Inode& parent) { return parent.remove_directory(where.name); });
}

}  // namespace fs
