// Adding and removing one name in a directory: the part that open, mkdir, mknod, link and unlink share.
#pragma once

#include <string_view>

#include "fs/path.h"

namespace fs {

// What a new node in `directory` belongs to: set-group-ID directories hand on their group (inode(7)).
struct NewNodeOwner {
    uint32_t uid, gid;
    uint16_t permissions;
};
NewNodeOwner new_node_owner(Inode& directory, FileType type, uint16_t permissions, const Identity& identity);

// Creates a node (not a symbolic link). EEXIST, EROFS, EACCES, ENOENT (the directory is gone), ENOSPC, ENOMEM.
Result<Ref<Dentry>> add_name(const Path& directory, std::string_view name, FileType type, uint16_t permissions,
                             uint64_t device_number, const Identity& identity);
// Whether `identity` may take `victim` out of `directory`: EACCES, EPERM (sticky directories).
Result<void> check_delete(Inode& directory, Inode& victim, const Identity& identity);

}  // namespace fs
