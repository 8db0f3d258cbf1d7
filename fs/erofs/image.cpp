#include "fs/erofs/image.h"

#include <cstring>

#include "core/log.h"
#include "fs/erofs/directory_block.h"
#include "fs/erofs/format.h"

namespace fs::erofs {

namespace {

template <typename T>
T read_as(std::span<const std::byte> bytes, uint64_t offset) {
    T value;
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
}

// `count` bytes at `offset` lie in the image.
bool contains(std::span<const std::byte> bytes, uint64_t offset, uint64_t count) {
    return offset <= bytes.size() && count <= bytes.size() - offset;
}

core::Error broken_image(const char* what) {
    klog::error("boot image: {}", what);
    return fail(Errno::kInval);
}

core::Error broken_inode(uint64_t nid, const char* what) {
    klog::error("boot image: inode {}: {}", nid, what);
    return fail(Errno::kIo);
}

uint32_t crc32c(uint32_t crc, const std::byte* data, size_t size) {
    for (size_t i = 0; i < size; i++) {
        crc ^= static_cast<uint8_t>(data[i]);
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82f6'3b78u : 0);
    }
    return crc;
}

bool checksum_fits(std::span<const std::byte> bytes, uint32_t expected) {
    constexpr uint64_t kField = kSuperBlockOffset + offsetof(SuperBlock, checksum);
    constexpr std::byte kZeros[4] = {};
    uint32_t crc = crc32c(~0u, bytes.data() + kSuperBlockOffset, kField - kSuperBlockOffset);
    crc = crc32c(crc, kZeros, sizeof kZeros);
    return crc32c(crc, bytes.data() + kField + 4, kPageSize - kField - 4) == expected;
}

bool known_type(uint16_t mode) {
    switch (static_cast<FileType>(mode & 0170000)) {
        case FileType::kFifo:
        case FileType::kCharacter:
        case FileType::kDirectory:
        case FileType::kBlock:
        case FileType::kRegular:
        case FileType::kSymlink:
        case FileType::kSocket: return true;
    }
    return false;
}

}  // namespace

std::span<const std::byte> behind_image(std::span<const std::byte> bytes) {
    if (bytes.size() < kPageSize) return {};
    auto super = read_as<SuperBlock>(bytes, kSuperBlockOffset);
    uint64_t end = uint64_t{super.blocks} * kPageSize;
    if (super.magic != kMagic || end > bytes.size()) return {};
    return bytes.subspan(end);
}

Result<Image> Image::open(std::span<const std::byte> bytes) {
    if (bytes.size() < kPageSize) return broken_image("shorter than its super block");
    auto super = read_as<SuperBlock>(bytes, kSuperBlockOffset);
    if (super.magic != kMagic) return broken_image("not an EROFS image (wrong magic number)");
    if (super.block_bits != core::kPageShift) return broken_image("block size is not 4096");
    if (super.feature_incompat & ~kIncompatZeroPadding)
        return broken_image("uses features that are not supported (compressed or chunked files?)");
    if ((super.feature_compat & kCompatChecksum) && !checksum_fits(bytes, super.checksum))
        return broken_image("checksum of the super block does not fit");
    if (uint64_t{super.blocks} * kPageSize > bytes.size()) return broken_image("shorter than its super block says");
    Image image(bytes);
    image.meta_start_ = uint64_t{super.meta_block} * kPageSize;
    image.root_nid_ = super.root_nid;
    if (image.meta_start_ >= bytes.size()) return broken_image("inodes lie outside of it");
    auto root = image.inode(image.root_nid_);
    if (!root) return fail(Errno::kInval);
    if (root->type != FileType::kDirectory) return broken_image("its root is not a directory");
    return image;
}

Result<ImageInode> Image::inode(uint64_t nid) const {
    if (nid > bytes_.size() / kInodeSlot) return broken_inode(nid, "number lies outside of the image");
    uint64_t offset = meta_start_ + nid * kInodeSlot;
    if (!contains(bytes_, offset, sizeof(CompactInode))) return broken_inode(nid, "lies outside of the image");
    uint16_t format = read_as<uint16_t>(bytes_, offset);
    ImageInode inode;
    inode.nid = nid;
    uint16_t mode, xattr_count;
    uint32_t start;
    uint64_t header;
    if (format & 1) {
        if (!contains(bytes_, offset, sizeof(ExtendedInode))) return broken_inode(nid, "lies outside of the image");
        auto raw = read_as<ExtendedInode>(bytes_, offset);
        mode = raw.mode;
        xattr_count = raw.xattr_count;
        start = raw.start_block_or_device;
        header = sizeof raw;
        inode.uid = raw.uid;
        inode.gid = raw.gid;
        inode.link_count = raw.link_count;
        inode.size = raw.size;
        inode.modification = {static_cast<int64_t>(raw.modification), raw.modification_ns};
    } else {
        auto raw = read_as<CompactInode>(bytes_, offset);
        auto super = read_as<SuperBlock>(bytes_, kSuperBlockOffset);
        mode = raw.mode;
        xattr_count = raw.xattr_count;
        start = raw.start_block_or_device;
        header = sizeof raw;
        inode.uid = raw.uid;
        inode.gid = raw.gid;
        inode.link_count = raw.link_count;
        inode.size = raw.size;
        inode.modification = {static_cast<int64_t>(super.build_time), super.build_time_ns};
    }
    if (!known_type(mode)) return broken_inode(nid, "unknown file type");
    if (inode.modification.nanoseconds >= 1'000'000'000) return broken_inode(nid, "time is none");
    inode.type = static_cast<FileType>(mode & 0170000);
    inode.permissions = mode & 07777;
    switch (inode.type) {
        case FileType::kCharacter:
        case FileType::kBlock: inode.device_number = start; [[fallthrough]];
        case FileType::kFifo:
        case FileType::kSocket: inode.size = 0; return inode;
        default: break;
    }
    if (inode.size > bytes_.size()) return broken_inode(nid, "larger than the image");

    auto layout = static_cast<Layout>(format >> 1 & 7);
    uint64_t body_size = inode.size;
    if (layout == Layout::kFlatInline) {
        // The last, incomplete block stands behind the inode and its extended attributes.
        body_size = inode.size == 0 ? 0 : core::align_down(inode.size - 1, kPageSize);
        uint64_t xattrs = xattr_count == 0 ? 0 : kXattrHeader + uint64_t{xattr_count - 1u} * kXattrUnit;
        uint64_t tail = offset + header + xattrs, tail_size = inode.size - body_size;
        if (!contains(bytes_, tail, tail_size)) return broken_inode(nid, "inline data lie outside of the image");
        if ((tail & core::kPageMask) + tail_size > kPageSize) return broken_inode(nid, "inline data cross a block");
        inode.tail = bytes_.subspan(tail, tail_size);
    } else if (layout != Layout::kFlatPlain) {
        return broken_inode(nid, "compressed or chunked data are not supported");
    }
    if (body_size > 0) {
        uint64_t body = uint64_t{start} * kPageSize;
        if (!contains(bytes_, body, body_size)) return broken_inode(nid, "data lie outside of the image");
        inode.body = bytes_.subspan(body, body_size);
    }
    return inode;
}

namespace {

// Block `index` of a directory's data; the last may be short.
std::span<const std::byte> block_of(const ImageInode& directory, uint64_t index) {
    uint64_t offset = index * kPageSize;
    if (offset < directory.body.size())
        return directory.body.subspan(offset, std::min<uint64_t>(kPageSize, directory.body.size() - offset));
    return directory.tail;
}

uint64_t blocks_of(const ImageInode& directory) { return (directory.size + core::kPageMask) / kPageSize; }

}  // namespace

Result<uint64_t> Image::lookup(const ImageInode& directory, std::string_view name) const {
    // Names are sorted over all blocks: the last block whose first name is not greater holds it.
    uint64_t low = 0, high = blocks_of(directory);
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        auto block = DirectoryBlock::parse(block_of(directory, middle));
        if (!block) return broken_inode(directory.nid, block.error());
        if (auto broken = block->check(0)) return broken_inode(directory.nid, broken);
        if (block->name(0) > name) {
            high = middle;
            continue;
        }
        // In this block or a later one.
        unsigned first = 0, end = block->count();
        while (end - first > 1) {
            unsigned probe = first + (end - first) / 2;
            if (auto broken = block->check(probe)) return broken_inode(directory.nid, broken);
            if (block->name(probe) <= name) first = probe;
            else end = probe;
        }
        if (block->name(first) == name) return block->entry(first).nid;
        if (first + 1 < block->count()) return fail(Errno::kNoEnt);
        low = middle + 1;
    }
    return fail(Errno::kNoEnt);
}

Result<void> Image::list(const ImageInode& directory, Sink& sink) const {
    for (uint64_t index = 0; index < blocks_of(directory); index++) {
        auto block = DirectoryBlock::parse(block_of(directory, index));
        if (!block) return broken_inode(directory.nid, block.error());
        for (unsigned i = 0; i < block->count(); i++) {
            if (auto broken = block->check(i)) return broken_inode(directory.nid, broken);
            auto type = file_type(block->entry(i).file_type);
            if (!type) return broken_inode(directory.nid, "entry has an unknown file type");
            TRY(sink.entry(block->name(i), block->entry(i).nid, *type));
        }
    }
    return {};
}

Result<std::string_view> Image::link_target(const ImageInode& link) const {
    if (link.size == 0 || link.size > kPageSize) return broken_inode(link.nid, "symbolic link has no target");
    std::span<const std::byte> bytes = link.body.empty() ? link.tail : link.body;
    std::string_view target(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (target.size() != link.size || target.find('\0') != std::string_view::npos)
        return broken_inode(link.nid, "target of the symbolic link is broken");
    return target;
}

}  // namespace fs::erofs
