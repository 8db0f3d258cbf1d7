// Reads an EROFS image that lies in memory. Every offset in it is checked before use: a broken image yields EIO
// (EINVAL at open()) and one log line that names what is broken, never a fault.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "fs/inode.h"

namespace fs::erofs {

// One inode, decoded. The data are `body`, then `tail` (FLAT_INLINE; else empty); both lie in the image and
// together have `size` bytes.
struct ImageInode {
    uint64_t nid = 0;
    FileType type{};
    uint16_t permissions = 0;
    uint32_t uid = 0, gid = 0, link_count = 1;
    uint64_t size = 0;
    uint64_t device_number = 0;
    Timespec modification;
    std::span<const std::byte> body, tail;
};

// What stands behind the last block of the image that `bytes` begin with; empty if there is nothing, or no image.
std::span<const std::byte> behind_image(std::span<const std::byte> bytes);

class Image {
  public:
    // The memory stays and does not change. EINVAL.
    static Result<Image> open(std::span<const std::byte> bytes);

    uint64_t root_nid() const { return root_nid_; }
    uint64_t block_count() const { return bytes_.size() / kPageSize; }
    // Past all inode numbers of the image.
    uint64_t first_free_nid() const { return bytes_.size() / 32 + 1; }
    // EIO.
    Result<ImageInode> inode(uint64_t nid) const;
    // A directory's entry. ENOENT, EIO.
    Result<uint64_t> lookup(const ImageInode& directory, std::string_view name) const;
    class Sink {
      public:
        virtual Result<void> entry(std::string_view name, uint64_t nid, FileType type) = 0;

      protected:
        ~Sink() = default;
    };
    // All entries in order, "." and ".." included. EIO, or what the sink returns.
    Result<void> list(const ImageInode& directory, Sink& sink) const;
    // A symbolic link's target. EIO.
    Result<std::string_view> link_target(const ImageInode& link) const;

  private:
    explicit Image(std::span<const std::byte> bytes) : bytes_(bytes) {}
    std::span<const std::byte> bytes_;
    uint64_t root_nid_ = 0, meta_start_ = 0;
};

}  // namespace fs::erofs
