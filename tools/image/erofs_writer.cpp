#include "image/erofs_writer.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <unordered_map>
#include <vector>

#include "image/erofs_format.h"
#include "support/failure.h"

namespace tool {

namespace erofs {

uint32_t crc32c(uint32_t seed, const void* data, uint64_t length) {
    const auto* bytes = static_cast<const uint8_t*>(data);
    uint32_t crc = seed;
    for (uint64_t i = 0; i < length; ++i) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0x82F63B78u : 0);
    }
    return crc;
}

}  // namespace erofs

namespace {

using namespace erofs;

uint64_t round_up(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }

/// Where one inode and its data go.
struct Plan {
    std::shared_ptr<Node> node;
    const Node* parent = nullptr;  // of a directory
    uint64_t inode_offset = 0;
    uint64_t size = 0;
    uint64_t plain_bytes = 0;   // bytes in whole blocks of the data area
    uint64_t inline_bytes = 0;  // bytes right after the inode
    uint64_t first_block = 0;
    uint32_t links = 0;
    std::vector<std::vector<std::string>> blocks;  // of a directory: the names in each block

    uint64_t nid() const { return inode_offset / kInodeSlot; }
    Layout layout() const { return inline_bytes ? Layout::FlatInline : Layout::FlatPlain; }
};

FileType file_type_of(NodeType type) {
    switch (type) {
        case NodeType::Regular: return kRegular;
        case NodeType::Directory: return kDirectory;
        case NodeType::Symlink: return kSymlink;
        case NodeType::CharDevice: return kCharDevice;
        case NodeType::BlockDevice: return kBlockDevice;
        case NodeType::Fifo: return kFifo;
        case NodeType::Socket: return kSocket;
    }
    return kUnknown;
}

uint32_t mode_type_of(NodeType type) {
    switch (type) {
        case NodeType::Regular: return S_IFREG;
        case NodeType::Directory: return S_IFDIR;
        case NodeType::Symlink: return S_IFLNK;
        case NodeType::CharDevice: return S_IFCHR;
        case NodeType::BlockDevice: return S_IFBLK;
        case NodeType::Fifo: return S_IFIFO;
        case NodeType::Socket: return S_IFSOCK;
    }
    return 0;
}

/// Linux' "new" encoding of a device number (include/linux/kdev_t.h).
uint32_t encode_device(uint32_t major, uint32_t minor) {
    return (minor & 0xff) | (major << 8) | ((minor & ~0xffu) << 12);
}

class Writer {
  public:
    Writer(const Tree& tree, const std::filesystem::path& path) : path_(path) { collect(tree.root_pointer()); }

    ImageSummary write() {
        place_inodes();
        place_data();
        out_.open(path_, std::ios::binary | std::ios::trunc);
        write_metadata();
        write_data();
        out_.close();
        if (!out_) throw system_failure("cannot write the image " + path_.string());
        ImageSummary summary = {.bytes = total_blocks_ * kBlockSize, .inodes = plans_.size(), .files = {}};
        for (const Plan& plan : plans_) {
            if (plan.node->type == NodeType::Regular && plan.size > 0)
                summary.files.push_back({plan.nid(), plan.first_block * kBlockSize, plan.size});
        }
        return summary;
    }

  private:
    void collect(const std::shared_ptr<Node>& root);
    void split_directory(Plan& plan);
    void place_inodes();
    void place_data();
    void write_metadata();
    void write_data();
    std::string directory_bytes(const Plan& plan) const;
    std::string bytes_of(const Plan& plan) const;
    ExtendedInode inode_of(const Plan& plan) const;
    const Plan& plan_of(const Node* node) const { return plans_[index_.at(node)]; }

    std::filesystem::path path_;
    std::ofstream out_;
    std::vector<Plan> plans_;  // parents before children
    std::unordered_map<const Node*, size_t> index_;
    uint64_t meta_bytes_ = 0;
    uint64_t total_blocks_ = 0;
};

void Writer::collect(const std::shared_ptr<Node>& root) {
    struct Walk {
        Writer& writer;
        void visit(const std::shared_ptr<Node>& node, const Node* parent) {
            auto [known, is_new] = writer.index_.try_emplace(node.get(), writer.plans_.size());
            size_t index = known->second;
            if (!is_new) {
                if (node->type == NodeType::Directory) throw Failure("a directory has two names in the image");
                ++writer.plans_[index].links;
                return;
            }
            writer.plans_.push_back({.node = node, .parent = parent, .size = node->size(), .links = 1});
            if (node->type != NodeType::Directory) return;
            writer.split_directory(writer.plans_[index]);
            uint32_t subdirectories = 0;
            for (const auto& [name, child] : node->children) {
                visit(child, node.get());
                if (child->type == NodeType::Directory) ++subdirectories;
            }
            writer.plans_[index].links = 2 + subdirectories;
        }
    };
    Walk{*this}.visit(root, root.get());
}

// Names go in byte order, "." and ".." among them; a block holds its entries first, then their names.
void Writer::split_directory(Plan& plan) {
    std::vector<std::string> names = {".", ".."};
    for (const auto& [name, child] : plan.node->children) {
        if (name.size() > 255) throw Failure("a file name is longer than 255 bytes: " + name);
        names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    uint64_t used = kBlockSize;
    for (std::string& name : names) {
        uint64_t need = sizeof(DirectoryEntry) + name.size();
        if (used + need > kBlockSize) {
            plan.blocks.emplace_back();
            used = 0;
        }
        used += need;
        plan.blocks.back().push_back(std::move(name));
    }
    plan.size = (plan.blocks.size() - 1) * kBlockSize + used;
}

void Writer::place_inodes() {
    uint64_t offset = kSuperblockOffset + sizeof(Superblock);
    for (Plan& plan : plans_) {
        const NodeType type = plan.node->type;
        plan.plain_bytes = plan.size;
        if (type == NodeType::Directory || type == NodeType::Symlink) {
            uint64_t tail = plan.size % kBlockSize;
            if (tail && sizeof(ExtendedInode) + tail <= kBlockSize) {
                plan.inline_bytes = tail;
                plan.plain_bytes = plan.size - tail;
            }
        } else if (type != NodeType::Regular) {
            plan.size = plan.plain_bytes = 0;
        }
        // An inode and its tail stay within one block.
        uint64_t need = sizeof(ExtendedInode) + plan.inline_bytes;
        if (offset % kBlockSize + need > kBlockSize) offset = round_up(offset, kBlockSize);
        plan.inode_offset = offset;
        offset = round_up(offset + need, kInodeSlot);
    }
    meta_bytes_ = round_up(offset, kBlockSize);
}

void Writer::place_data() {
    uint64_t block = meta_bytes_ / kBlockSize;
    auto place = [&](bool directories) {
        for (Plan& plan : plans_) {
            if ((plan.node->type == NodeType::Directory) != directories || plan.plain_bytes == 0) continue;
            plan.first_block = block;
            block += round_up(plan.plain_bytes, kBlockSize) / kBlockSize;
        }
    };
    place(true);
    place(false);
    total_blocks_ = block;
    if (total_blocks_ > UINT32_MAX) throw Failure("the image would be larger than 16 TiB");
}

std::string Writer::directory_bytes(const Plan& plan) const {
    std::string bytes(plan.size, '\0');
    for (size_t block = 0; block < plan.blocks.size(); ++block) {
        const std::vector<std::string>& names = plan.blocks[block];
        char* base = bytes.data() + block * kBlockSize;
        auto name_offset = static_cast<uint16_t>(names.size() * sizeof(DirectoryEntry));
        for (size_t i = 0; i < names.size(); ++i) {
            const Node* target = names[i] == "."    ? plan.node.get()
                                 : names[i] == ".." ? plan.parent
                                                    : plan.node->children.at(names[i]).get();
            DirectoryEntry entry = {.nid = plan_of(target).nid(),
                                    .name_offset = name_offset,
                                    .file_type = file_type_of(target->type),
                                    .reserved = 0};
            std::memcpy(base + i * sizeof entry, &entry, sizeof entry);
            std::memcpy(base + name_offset, names[i].data(), names[i].size());
            name_offset = static_cast<uint16_t>(name_offset + names[i].size());
        }
    }
    return bytes;
}

std::string Writer::bytes_of(const Plan& plan) const {
    switch (plan.node->type) {
        case NodeType::Directory: return directory_bytes(plan);
        case NodeType::Symlink: return plan.node->data;
        case NodeType::Regular: {
            std::string content = plan.node->content();
            if (content.size() != plan.size)
                throw Failure(plan.node->host_file.string() + " changed while the image was being made",
                              "run the command again");
            return content;
        }
        default: return {};
    }
}

ExtendedInode Writer::inode_of(const Plan& plan) const {
    const Node& node = *plan.node;
    ExtendedInode inode = {};
    inode.format = static_cast<uint16_t>(1 | static_cast<uint16_t>(plan.layout()) << 1);
    inode.mode = static_cast<uint16_t>(mode_type_of(node.type) | (node.meta.mode & 07777));
    inode.size = plan.size;
    inode.location = static_cast<uint32_t>(plan.first_block);
    if (node.type == NodeType::CharDevice || node.type == NodeType::BlockDevice)
        inode.location = encode_device(node.device_major, node.device_minor);
    inode.ino = static_cast<uint32_t>(&plan - plans_.data() + 1);
    inode.uid = node.meta.uid;
    inode.gid = node.meta.gid;
    inode.mtime = static_cast<uint64_t>(node.meta.mtime);
    inode.mtime_ns = node.meta.mtime_ns;
    inode.links = plan.links;
    return inode;
}

void Writer::write_metadata() {
    std::string meta(meta_bytes_, '\0');
    for (const Plan& plan : plans_) {
        ExtendedInode inode = inode_of(plan);
        char* place = meta.data() + plan.inode_offset;
        std::memcpy(place, &inode, sizeof inode);
        if (!plan.inline_bytes) continue;
        std::string bytes = bytes_of(plan);
        std::memcpy(place + sizeof inode, bytes.data() + plan.plain_bytes, plan.inline_bytes);
    }
    Superblock super = {};
    super.magic = kMagic;
    super.feature_compat = kCompatChecksum | kCompatMtime;
    super.block_bits = kBlockBits;
    super.root_nid = static_cast<uint16_t>(plans_.front().nid());
    super.inodes = plans_.size();
    super.blocks = static_cast<uint32_t>(total_blocks_);
    std::memcpy(super.volume_name, "isounik", 7);
    std::memcpy(meta.data() + kSuperblockOffset, &super, sizeof super);
    super.checksum = crc32c(~0u, meta.data() + kSuperblockOffset, kBlockSize - kSuperblockOffset);
    std::memcpy(meta.data() + kSuperblockOffset, &super, sizeof super);
    out_.write(meta.data(), static_cast<std::streamsize>(meta.size()));
}

void Writer::write_data() {
    const std::string zeros(kBlockSize, '\0');
    auto write = [&](bool directories) {
        for (const Plan& plan : plans_) {
            if ((plan.node->type == NodeType::Directory) != directories || plan.plain_bytes == 0) continue;
            std::string bytes = bytes_of(plan);
            out_.write(bytes.data(), static_cast<std::streamsize>(plan.plain_bytes));
            uint64_t padding = round_up(plan.plain_bytes, kBlockSize) - plan.plain_bytes;
            out_.write(zeros.data(), static_cast<std::streamsize>(padding));
        }
    };
    write(true);
    write(false);
}

}  // namespace

ImageSummary write_erofs(const Tree& tree, const std::filesystem::path& path) { return Writer(tree, path).write(); }

}  // namespace tool
