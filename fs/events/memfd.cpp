#include "fs/events/memfd.h"

#include "fs/path.h"
#include "fs/regular_file.h"
#include "fs/tmpfs/tmpfs.h"

namespace fs {

Result<Ref<File>> create_memfd(std::string_view name, Sealing sealing, uint32_t uid, uint32_t gid) {
    auto inode = TRY(tmpfs::create_unnamed_file(0777, uid, gid));
    auto label = TRY(core::String::create("memfd:"));
    TRY(label.append(name));
    Path path = TRY(detached_path(inode, label));
    OpenRequest request{.flags = kORdWr | kOLargeFile, .path = &path};
    auto file = TRY(inode->open(request));
    if (sealing == Sealing::kAllowed) {
        ASSERT(file->kind() == RegularFile::kKind);
        static_cast<RegularFile&>(*file).node().allow_sealing();
    }
    return file;
}

}  // namespace fs
