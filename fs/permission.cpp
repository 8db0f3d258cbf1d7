// Who may do what (path_resolution(7), chmod(2), chown(2), utimensat(2), truncate(2)).
#include "fs/path.h"

namespace fs {

namespace {

constexpr uint16_t kSetUid = 04000, kSetGid = 02000, kGroupExecute = 00010;

bool owns(const Identity& identity, const Ownership& owner) {
    return identity.is_root() || identity.uid == owner.uid;
}

}  // namespace

Result<void> check_access(Inode& inode, unsigned wanted, const Identity& identity) {
    Ownership owner = inode.ownership();
    if ((wanted & kAccessWrite) && inode.is_read_only() &&
        (owner.type == FileType::kRegular || owner.type == FileType::kDirectory || owner.type == FileType::kSymlink))
        return fail(Errno::kRoFs);
    if (identity.is_root()) {
        // CAP_DAC_OVERRIDE; executing a file still needs one execute bit.
        if ((wanted & kAccessExecute) && owner.type != FileType::kDirectory && !(owner.permissions & 0111))
            return fail(Errno::kAcces);
        return {};
    }
    unsigned shift = identity.uid == owner.uid ? 6 : identity.in_group(owner.gid) ? 3 : 0;
    if ((owner.permissions >> shift & wanted) != wanted) return fail(Errno::kAcces);
    return {};
}

Result<void> change_attributes(const Path& path, AttributeChange change, const Identity& identity,
                               TimesCheck times) {
    if (path.mount->read_only()) return fail(Errno::kRoFs);
    Inode& inode = path.inode();
    Ownership owner = inode.ownership();
    if (change.set_size) {
        if (owner.type == FileType::kDirectory) return fail(Errno::kIsDir);
        if (owner.type != FileType::kRegular) return fail(Errno::kInval);
        TRY(check_access(inode, kAccessWrite, identity));
        // A running program's file (ETXTBSY).
        TRY(inode.begin_write());
        core::Defer done([&] { inode.end_write(); });
        return inode.change_attributes(change);
    }
    if (change.set_permissions) {
        if (!owns(identity, owner)) return fail(Errno::kPerm);
        if (!identity.is_root() && !identity.in_group(owner.gid)) change.permissions &= ~kSetGid;
    }
    if (change.set_uid || change.set_gid) {
        if (!identity.is_root()) {
            if (change.set_uid && (identity.uid != owner.uid || change.uid != owner.uid)) return fail(Errno::kPerm);
            if (change.set_gid && (identity.uid != owner.uid ||
                                   (change.gid != owner.gid && !identity.in_group(change.gid))))
                return fail(Errno::kPerm);
        }
        if (owner.type != FileType::kDirectory) {
            // chown(2): the set-id bits go, set-group-ID only where it does not mean mandatory locking.
            uint16_t kept = owner.permissions & ~kSetUid;
            if (owner.permissions & kGroupExecute) kept &= ~kSetGid;
            if (kept != owner.permissions) {
                change.set_permissions = true;
                change.permissions = kept;
            }
        }
    }
    if ((change.set_access || change.set_modification) && !owns(identity, owner)) {
        if (times == TimesCheck::kOwner) return fail(Errno::kPerm);
        TRY(check_access(inode, kAccessWrite, identity));
    }
    return inode.change_attributes(change);
}

}  // namespace fs
