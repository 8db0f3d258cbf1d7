#include "fs/directory_file.h"

#include "fs/regular_file.h"

namespace fs {

namespace {

constexpr uint64_t kSelf = 0, kParent = 1, kFirst = 2;

// Passes an inode's entries on and remembers where to go on.
class AdvancingSink final : public DirectorySink {
  public:
    AdvancingSink(DirectorySink& inner, uint64_t& position) : inner_(inner), position_(position) {}
    bool entry(std::string_view name, uint64_t inode_number, FileType type, uint64_t next_offset) override {
        return pass_on(name, inode_number, type, kFirst + next_offset);
    }
    // Also for "." and "..", which have no offset in the inode.
    bool pass_on(std::string_view name, uint64_t inode_number, FileType type, uint64_t next_position) {
        if (!inner_.entry(name, inode_number, type, next_position)) return false;
        position_ = next_position;
        return true;
    }

  private:
    DirectorySink& inner_;
    uint64_t& position_;
};

}  // namespace

Result<uint64_t> DirectoryFile::seek(int64_t offset, int whence) {
    TurnGuard guard(position_lock);
    // The end of a directory is not known; Linux' tmpfs refuses SEEK_END too (dcache_dir_lseek).
    if (whence > 1) return fail(Errno::kInval);
    position = TRY(seek_position(position, 0, offset, whence));
    return position;
}

Result<void> DirectoryFile::read_directory(DirectorySink& sink) {
    Inode& inode = path_.inode();
    if (path_.dentry->deleted()) return fail(Errno::kNoEnt);
    AdvancingSink advancing(sink, position);
    if (position == kSelf &&
        !advancing.pass_on(".", inode.attributes().inode_number, FileType::kDirectory, kParent))
        return {};
    if (position == kParent) {
        Path above = path_;
        if (above.dentry == above.mount->root()) {
            if (Path point = above.mount->mount_point(); !point.empty()) above = point;
        }
        Ref<Dentry> parent = above.dentry->parent();
        Inode& parent_inode = parent ? parent->inode() : above.inode();
        if (!advancing.pass_on("..", parent_inode.attributes().inode_number, FileType::kDirectory, kFirst)) return {};
    }
    return inode.read_directory(position - kFirst, advancing);
}

}  // namespace fs
