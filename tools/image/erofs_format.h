// The part of the EROFS on-disk format that boot images use. Linux, Documentation/filesystems/erofs.rst and
// the "Core on-disk format" chapter of the EROFS documentation.
#pragma once

#include <bit>
#include <cstdint>

namespace tool::erofs {

static_assert(std::endian::native == std::endian::little, "the format is little-endian, and so is every host we know");

inline constexpr uint32_t kBlockSize = 4096;
inline constexpr uint32_t kBlockBits = 12;
inline constexpr uint32_t kSuperblockOffset = 1024;
inline constexpr uint32_t kMagic = 0xE0F5E1E2;
inline constexpr uint32_t kInodeSlot = 32;  // an inode stands at meta_block * block size + 32 * its number

inline constexpr uint32_t kCompatChecksum = 1 << 0;
inline constexpr uint32_t kCompatMtime = 1 << 1;  // times in inodes are modification times

enum class Layout : uint16_t { FlatPlain = 0, FlatInline = 2 };

struct Superblock {
    uint32_t magic;
    uint32_t checksum;  // CRC-32C from here to the end of the first block, with this field as 0
    uint32_t feature_compat;
    uint8_t block_bits;
    uint8_t extra_slots;
    uint16_t root_nid;
    uint64_t inodes;
    uint64_t build_time;
    uint32_t build_time_ns;
    uint32_t blocks;
    uint32_t meta_block;
    uint32_t xattr_block;
    uint8_t uuid[16];
    uint8_t volume_name[16];
    uint32_t feature_incompat;
    uint8_t reserved[44];
};
static_assert(sizeof(Superblock) == 128);

struct ExtendedInode {
    uint16_t format;  // bit 0: extended; bits 1 to 3: Layout
    uint16_t xattr_count;
    uint16_t mode;
    uint16_t reserved;
    uint64_t size;
    uint32_t location;  // first data block, or the number of a device
    uint32_t ino;
    uint32_t uid;
    uint32_t gid;
    uint64_t mtime;
    uint32_t mtime_ns;
    uint32_t links;
    uint8_t reserved2[16];
};
static_assert(sizeof(ExtendedInode) == 64);

struct __attribute__((packed)) DirectoryEntry {
    uint64_t nid;
    uint16_t name_offset;  // from the start of the block; the first one also tells the number of entries
    uint8_t file_type;
    uint8_t reserved;
};
static_assert(sizeof(DirectoryEntry) == 12);

enum FileType : uint8_t {
    kUnknown = 0,
    kRegular = 1,
    kDirectory = 2,
    kCharDevice = 3,
    kBlockDevice = 4,
    kFifo = 5,
    kSocket = 6,
    kSymlink = 7,
};

/// CRC-32C (polynomial 0x82F63B78 reflected) without the usual inversions, as EROFS uses it.
uint32_t crc32c(uint32_t seed, const void* data, uint64_t length);

}  // namespace tool::erofs
