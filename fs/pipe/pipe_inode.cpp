// A pipe as an inode: what fstat(2) shows and fchmod(2) changes.
#include "fs/events/internal_file_system.h"
#include "fs/pipe/pipe.h"

namespace fs {

FileSystem& Pipe::file_system() {
    static InternalFileSystem file_system("pipefs", 0x50495045);
    return file_system;
}

Attributes Pipe::attributes() {
    core::SpinGuard guard(lock_);
    Attributes attributes;
    attributes.inode_number = inode_number_;
    attributes.type = FileType::kFifo;
    attributes.permissions = permissions_;
    attributes.uid = uid_;
    attributes.gid = gid_;
    attributes.access = accessed_;
    attributes.modification = modified_;
    attributes.change = created_;
    return attributes;
}

Result<void> Pipe::change_attributes(const AttributeChange& change) {
    if (change.set_size) return fail(Errno::kInval);
    core::SpinGuard guard(lock_);
    if (change.set_permissions) permissions_ = change.permissions;
    if (change.set_uid) uid_ = change.uid;
    if (change.set_gid) gid_ = change.gid;
    if (change.set_access) accessed_ = change.access;
    if (change.set_modification) modified_ = change.modification;
    return {};
}

}  // namespace fs
