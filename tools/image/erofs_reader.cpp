#include "image/erofs_reader.h"

#include <sys/stat.h>

#include <cstring>
#include <fstream>
#include <map>

#include "image/erofs_format.h"
#include "support/failure.h"

namespace tool {

namespace {

using namespace erofs;

class ImageReader {
  public:
    explicit ImageReader(const std::filesystem::path& path)
        : path_(path), size_(std::filesystem::file_size(path)), in_(path, std::ios::binary) {
        std::string first = bytes(0, kBlockSize);
        std::memcpy(&super_, first.data() + kSuperblockOffset, sizeof super_);
        if (super_.magic != kMagic || super_.block_bits != kBlockBits || super_.feature_incompat != 0) damaged();
        uint32_t checksum = super_.checksum;
        std::memset(first.data() + kSuperblockOffset + offsetof(Superblock, checksum), 0, sizeof checksum);
        if (crc32c(~0u, first.data() + kSuperblockOffset, kBlockSize - kSuperblockOffset) != checksum) damaged();
    }

    void read_into(Tree& tree) { fill_directory(tree.root(), super_.root_nid, 0); }

  private:
    [[noreturn]] void damaged() const {
        throw Failure("the image " + path_.string() + " is damaged", "delete it and run the command again");
    }

    std::string bytes(uint64_t offset, uint64_t length) {
        if (offset > size_ || size_ - offset < length) damaged();
        std::string data(length, '\0');
        in_.seekg(static_cast<std::streamoff>(offset));
        in_.read(data.data(), static_cast<std::streamsize>(length));
        if (!in_) damaged();
        return data;
    }

    ExtendedInode inode(uint64_t nid) {
        ExtendedInode inode;
        std::string data = bytes(super_.meta_block * uint64_t{kBlockSize} + nid * kInodeSlot, sizeof inode);
        std::memcpy(&inode, data.data(), sizeof inode);
        if ((inode.format & 1) == 0 || inode.xattr_count != 0) damaged();
        return inode;
    }

    std::string content(const ExtendedInode& inode, uint64_t nid) {
        if (inode.size > size_) damaged();
        uint64_t tail = (inode.format >> 1) == static_cast<uint16_t>(Layout::FlatInline) ? inode.size % kBlockSize : 0;
        std::string data;
        if (inode.size > tail) data = bytes(inode.location * uint64_t{kBlockSize}, inode.size - tail);
        if (tail) data += bytes(super_.meta_block * uint64_t{kBlockSize} + nid * kInodeSlot + sizeof inode, tail);
        return data;
    }

    static void take_metadata(Node& node, const ExtendedInode& inode) {
        node.meta = {.mode = inode.mode & 07777u,
                     .uid = inode.uid,
                     .gid = inode.gid,
                     .mtime = static_cast<int64_t>(inode.mtime),
                     .mtime_ns = inode.mtime_ns};
    }

    void fill_directory(Node& node, uint64_t nid, int depth) {
        constexpr int kMaxDepth = 500;
        const ExtendedInode self = inode(nid);
        if (!S_ISDIR(self.mode) || depth > kMaxDepth) damaged();
        take_metadata(node, self);
        const std::string data = content(self, nid);
        for (uint64_t start = 0; start < data.size(); start += kBlockSize) {
            std::string_view block = std::string_view(data).substr(start, kBlockSize);
            auto entry = [&](size_t i) {
                DirectoryEntry result;
                if ((i + 1) * sizeof result > block.size()) damaged();
                std::memcpy(&result, block.data() + i * sizeof result, sizeof result);
                return result;
            };
            size_t count = entry(0).name_offset / sizeof(DirectoryEntry);
            for (size_t i = 0; i < count; ++i) {
                DirectoryEntry here = entry(i);
                size_t end = i + 1 < count ? entry(i + 1).name_offset : block.size();
                if (here.name_offset > end || end > block.size()) damaged();
                std::string name(block.substr(here.name_offset, end - here.name_offset));
                name.resize(std::min(name.size(), name.find('\0')));  // padding after the last name
                if (name == "." || name == "..") continue;
                node.children[name] = child(here.nid, depth + 1);
            }
        }
    }

    std::shared_ptr<Node> child(uint64_t nid, int depth) {
        const ExtendedInode self = inode(nid);
        if (S_ISDIR(self.mode)) {
            auto node = Node::directory();
            fill_directory(*node, nid, depth);
            return node;
        }
        std::shared_ptr<Node>& node = known_[nid];  // hard links
        if (node) return node;
        node = std::make_shared<Node>();
        take_metadata(*node, self);
        switch (self.mode & S_IFMT) {
            case S_IFREG:
                if (self.size > size_ || self.location * uint64_t{kBlockSize} > size_ - self.size) damaged();
                node->host_file = path_;
                node->host_offset = self.location * uint64_t{kBlockSize};
                node->host_size = self.size;
                break;
            case S_IFLNK:
                node->type = NodeType::Symlink;
                node->data = content(self, nid);
                break;
            case S_IFIFO: node->type = NodeType::Fifo; break;
            case S_IFSOCK: node->type = NodeType::Socket; break;
            case S_IFCHR:
            case S_IFBLK:
                node->type = S_ISCHR(self.mode) ? NodeType::CharDevice : NodeType::BlockDevice;
                node->device_major = (self.location >> 8) & 0xfff;
                node->device_minor = (self.location & 0xff) | ((self.location >> 12) & 0xfff00);
                break;
            default: damaged();
        }
        return node;
    }

    std::filesystem::path path_;
    uint64_t size_;
    std::ifstream in_;
    Superblock super_ = {};
    std::map<uint64_t, std::shared_ptr<Node>> known_;
};

}  // namespace

Tree read_erofs(const std::filesystem::path& path) {
    Tree tree;
    ImageReader(path).read_into(tree);
    return tree;
}

}  // namespace tool
