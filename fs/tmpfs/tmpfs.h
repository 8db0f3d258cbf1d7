// tmpfs: files, directories, links and nodes that live in memory.
#pragma once

#include <string_view>

#include "fs/inode.h"

namespace fs::tmpfs {

// mount(2) data: "size=", "mode=", "uid=", "gid=" (tmpfs(5)); EINVAL for a value that is none. ENOMEM.
Result<Ref<FileSystem>> create(std::string_view options);

// A regular file that is in no directory: memfd_create(2). `map_name` must outlive it.
Result<Ref<Inode>> create_unnamed_file(uint16_t permissions, uint32_t uid, uint32_t gid);

}  // namespace fs::tmpfs
