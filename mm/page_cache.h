// The pages of one file (an inode), seen alike by read, write and mmap.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/lock.h"
#include "core/memory.h"
#include "core/types.h"

namespace mm {

// Where a page comes from that is not in the cache yet.
class PageSource {
  public:
    virtual ~PageSource() = default;
    // A frame that already holds page `index` and may be mapped read-only in place (boot image), or ENODATA.
    virtual Result<Pfn> frame_in_place(uint64_t index) { (void)index; return fail(Errno::kNoData); }
    // Fills a fresh frame with page `index`; bytes past the end of the file are zero. tmpfs: zeroes it.
    virtual Result<void> fill(uint64_t index, Pfn frame) = 0;
};

class PageCache {
  public:
    explicit PageCache(PageSource& source) : source_(source) {}
    ~PageCache();
    PageCache(const PageCache&) = delete;

    // Page `index` with one more reference (unref_frame() when done); made by the source if absent.
    // kWrite: the page will be modified: an in-place boot-image page is never returned for it. It is replaced
    // by a fresh frame that the source fills (copy on write of the boot image) and unmapped everywhere, so that
    // all mappings see the copy; a source that may not be written fails fill() with EROFS.
    enum class Intent : uint8_t { kRead, kWrite };
    Result<Pfn> get(uint64_t index, Intent intent);
    // Same, but ENODATA if the page is neither cached nor in place (holes).
    Result<Pfn> find(uint64_t index);
    // Drops pages from `first_index` on and unmaps them everywhere; the partial last page is zeroed from
    // `new_size`; a partial last page that is in place is dropped instead (the source, told of the new size
    // before, fills it again). After it, mapped accesses beyond the end raise SIGBUS.
    void truncate(uint64_t new_size);
    uint64_t page_count() const;

  private:
    PageSource& source_;
    // mm's owner adds: the lock (Rank::kPageCache), the index -> frame tree, the reverse map.
};

// What a VMA can map: an object with a page cache. fs::Inode derives from it.
class Mappable : public core::RefCounted {
  public:
    virtual PageCache& page_cache() = 0;
    // Current size in bytes: accesses to pages past it raise SIGBUS.
    virtual uint64_t mapped_size() const = 0;
    // For /proc/<pid>/maps.
    virtual std::string_view map_name() const = 0;
    virtual uint64_t map_inode_number() const { return 0; }
    virtual uint64_t map_device() const { return 0; }
};

}  // namespace mm
