// Regular files in memory: pages in a PageCache, zero-filled or taken from the boot image.
#pragma once

#include "fs/tmpfs/node.h"
#include "fs/turn_lock.h"

namespace fs::tmpfs {

// Where a file's first content comes from, in place of zeros. Must stand the calls of mm::PageSource at any time.
class ContentSource : public mm::PageSource {
  public:
    // Bytes from here on read as zero. Only ever shrinks.
    uint64_t end() const { return end_.load(std::memory_order_acquire); }
    void cut(uint64_t size) {
        if (size < end()) end_.store(size, std::memory_order_release);
    }

  protected:
    explicit ContentSource(uint64_t size) : end_(size) {}

  private:
    std::atomic<uint64_t> end_;
};

class RegularNode final : public Node {
  public:
    RegularNode(TreeFileSystem& file_system, const NodeAttributes& attributes)
        : Node(file_system, attributes), cache_(zero_source()) {}
    RegularNode(TreeFileSystem& file_system, const NodeAttributes& attributes, uint64_t size,
                std::unique_ptr<ContentSource> content)
        : Node(file_system, attributes), size_(size), content_(std::move(content)), cache_(*content_) {}
    ~RegularNode() override;

    Attributes attributes() override;
    Result<void> change_attributes(const AttributeChange& change) override;
    Result<Ref<File>> open(const OpenRequest& request) override;
    mm::PageCache& page_cache() override { return cache_; }
    uint64_t mapped_size() const override { return size_.load(std::memory_order_acquire); }
    // The path that /proc/<pid>/maps shows: that of the first open file by which it was mapped.
    std::string_view map_name() const override;
    void set_map_name(const Path& path);
    uint64_t size() const { return size_.load(std::memory_order_acquire); }

    // At most what lies before the end of the file. EFAULT, ENOMEM if nothing was read.
    Result<size_t> read(Destination& destination, uint64_t offset);
    // Writers take turns, so that each write, appending ones too, is one piece. `*offset` becomes the end of what
    // was written. ENOSPC, EFBIG, EPERM (sealed), EFAULT if nothing was written.
    enum class Placing : bool { kAtOffset, kAppend };
    Result<size_t> write(Source& source, uint64_t* offset, Placing placing);
    // EPERM if sealed.
    Result<void> truncate(uint64_t size);
    // fallocate(2), with its mode bits; lseek(2) SEEK_DATA and SEEK_HOLE.
    Result<void> allocate(unsigned mode, uint64_t offset, uint64_t length);
    Result<uint64_t> seek_data(uint64_t offset);
    Result<uint64_t> seek_hole(uint64_t offset);

    // fcntl(2) F_ADD_SEALS; starts as F_SEAL_SEAL, which memfd_create(MFD_ALLOW_SEALING) clears.
    static constexpr uint32_t kSealSeal = 1, kSealShrink = 2, kSealGrow = 4, kSealWrite = 8, kSealFutureWrite = 16;
    uint32_t seals() const { return seals_.load(std::memory_order_relaxed); }
    void allow_sealing() { seals_.store(0, std::memory_order_relaxed); }
    // EPERM: sealed against seals. EBUSY: F_SEAL_WRITE, and a mapping shares the file and may write.
    Result<void> add_seals(uint32_t seals);
    // Who makes a shared mapping of a file that may be sealed looks at the seals and maps under this lock.
    TurnLock& seal_lock() { return turn_; }

  private:
    static mm::PageSource& zero_source();
    uint64_t content_end() const { return content_ ? content_->end() : 0; }
    bool has_data(uint64_t index);
    Result<void> zero_range(uint64_t start, uint64_t end);
    Result<void> write_pages(Source& source, uint64_t* offset);

    TurnLock turn_;  // writers, truncation and seals
    std::atomic<uint64_t> size_{0};
    std::atomic<uint32_t> seals_{kSealSeal};
    std::atomic<core::String*> map_name_{nullptr};  // set once
    const std::unique_ptr<ContentSource> content_;  // null: zeros
    mm::PageCache cache_;
};

}  // namespace fs::tmpfs
