// EROFS on disk, the uncompressed part (Linux Documentation/filesystems/erofs.rst and fs/erofs/erofs_fs.h's
// layout). All numbers are little-endian.
#pragma once

#include <cstdint>

namespace fs::erofs {

inline constexpr uint64_t kSuperBlockOffset = 1024;
inline constexpr uint32_t kMagic = 0xe0f5'e1e2;
inline constexpr uint32_t kCompatChecksum = 1;
inline constexpr uint32_t kIncompatZeroPadding = 1;  // says something of compressed blocks only
inline constexpr unsigned kInodeSlot = 32;           // inode numbers count these
inline constexpr unsigned kXattrHeader = 12, kXattrUnit = 4;

struct SuperBlock {
    uint32_t magic, checksum, feature_compat;
    uint8_t block_bits, extra_slots;
    uint16_t root_nid;
    uint64_t inode_count, build_time;
    uint32_t build_time_ns, blocks, meta_block, xattr_block;
    uint8_t uuid[16], volume_name[16];
    uint32_t feature_incompat;
    uint8_t reserved[44];
};
static_assert(sizeof(SuperBlock) == 128);

// i_format: bit 0 says extended, bits 1 to 3 the layout.
enum class Layout : uint8_t { kFlatPlain = 0, kCompressedFull = 1, kFlatInline = 2, kCompressed = 3, kChunks = 4 };

struct CompactInode {
    uint16_t format, xattr_count, mode, link_count;
    uint32_t size, reserved, start_block_or_device, number;
    uint16_t uid, gid;
    uint32_t reserved2;
};
static_assert(sizeof(CompactInode) == 32);

struct ExtendedInode {
    uint16_t format, xattr_count, mode, reserved;
    uint64_t size;
    uint32_t start_block_or_device, number, uid, gid;
    uint64_t modification;
    uint32_t modification_ns, link_count;
    uint8_t reserved2[16];
};
static_assert(sizeof(ExtendedInode) == 64);

struct [[gnu::packed]] DirectoryEntry {
    uint64_t nid;
    uint16_t name_offset;
    uint8_t file_type, reserved;
};
static_assert(sizeof(DirectoryEntry) == 12);

}  // namespace fs::erofs
