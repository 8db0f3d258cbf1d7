// The pages of one file (an inode), seen alike by read, write and mmap.
//
// Two locks: Rank::kPageCache guards the pages, Rank::kReverseMap the list of VMAs that map the file. Pages come
// from a PageSource; those that it holds in memory anyway (boot image) are used in place and not stored here.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/intrusive.h"
#include "core/lock.h"
#include "core/memory.h"
#include "core/types.h"

namespace mm {

// Where a page comes from that is not in the cache yet. Both are called with the cache's lock held (rank
// kPageCache): they take only locks of a higher rank and do not block.
class PageSource {
  public:
    virtual ~PageSource() = default;
    // A frame that already holds page `index` and may be mapped read-only in place (boot image), or ENODATA.
    // The frame is kReserved, or the source keeps a reference for as long as the cache lives.
    virtual Result<Pfn> frame_in_place(uint64_t index) { (void)index; return fail(Errno::kNoData); }
    // Fills a fresh frame with page `index`; bytes past the end of the file are zero. tmpfs: zeroes it.
    virtual Result<void> fill(uint64_t index, Pfn frame) = 0;
};

// A VMA as its file sees it (mm/vma.h derives from it).
struct FileMapping {
    core::ListHook reverse_map_hook;
    uint64_t visited = 0;  // the last unmapping that has seen it
};

class PageCache {
  public:
    explicit PageCache(PageSource& source) : source_(source) {}
    // No VMA maps the file any more. Frees all pages.
    ~PageCache();
    PageCache(const PageCache&) = delete;

    // Page `index` with one more reference (unref_frame() when done); made by the source if absent.
    // kWrite: the page will be modified: an in-place boot-image page is never returned for it. It is replaced
    // by a fresh frame that the source fills (copy on write of the boot image) and unmapped everywhere, so that
    // all mappings see the copy; a source that may not be written fails fill() with EROFS.
    // ENOMEM, EFBIG (index beyond 2^48), or what the source returns. kWrite: no lock of rank kAddressSpace or
    // higher may be held.
    enum class Intent : uint8_t { kRead, kWrite };
    Result<Pfn> get(uint64_t index, Intent intent);
    // Same, but ENODATA if the page is neither cached nor in place (holes).
    Result<Pfn> find(uint64_t index);
    // find() for pages first_index.. of `frames`; absent ones become Pfn(0) (frame 0 is never a page of a file).
    // Returns how many were found.
    size_t find_range(uint64_t first_index, std::span<Pfn> frames);
    // get() for a page fault, which holds an address space's lock. EAGAIN: the page is in place and must be
    // replaced: drop the lock, call get(), come again.
    Result<Pfn> get_for_fault(uint64_t index, Intent intent);
    // Drops pages from `new_size` on and unmaps them everywhere, private copies included; the partial last page
    // is zeroed from `new_size`; a partial last page that is in place is unmapped instead (the source, told of
    // the new size before, fills it again). Set Mappable::mapped_size() before: after it, mapped accesses beyond
    // the end raise SIGBUS. No lock of rank kAddressSpace or higher may be held.
    void truncate(uint64_t new_size);
    // Drops the pages first_index to end_index - 1 and unmaps them, private copies excepted (fallocate(2)
    // PUNCH_HOLE, madvise(2) MADV_REMOVE). Locks as truncate().
    void remove(uint64_t first_index, uint64_t end_index);
    // Cached pages; those in place are not counted.
    uint64_t page_count() const { return page_count_.load(std::memory_order_relaxed); }

    // For address spaces: which VMAs map this file.
    void add_mapping(FileMapping& mapping);
    void remove_mapping(FileMapping& mapping);
    // How many VMAs map this file (shm_nattch). O(n).
    uint64_t mapping_count();
    // Whether some VMA shares the file and may write it, now or after mprotect(2). O(n).
    bool has_shared_writer();

  private:
    // A radix tree with 64 slots a node; node pages are 512 bytes of slots. Height 0: root_ is page 0 itself.
    static constexpr unsigned kBits = 6, kSlots = 1u << kBits, kMaxHeight = 8;
    struct Node { uintptr_t slots[kSlots]; };

    uint64_t capacity() const { return uint64_t{1} << (kBits * height_); }
    Pfn lookup_locked(uint64_t index) const;  // Pfn(0): absent
    Result<void> insert_locked(uint64_t index, Pfn frame);
    Result<Pfn> get_locked(uint64_t index, Intent intent, bool& replaces);
    // Frees the pages [first, end) below `slot`; true if the slot became empty.
    bool erase_locked(uintptr_t& slot, unsigned height, uint64_t base, uint64_t first, uint64_t end);
    enum class PrivateCopies : bool { kKeep, kUnmap };
    void unmap_everywhere(uint64_t first_index, uint64_t end_index, PrivateCopies copies);
    void drop_pages(uint64_t first_index, uint64_t end_index);

    PageSource& source_;
    mutable core::Spinlock lock_{core::Rank::kPageCache};
    uintptr_t root_ = 0;
    unsigned height_ = 0;
    std::atomic<uint64_t> page_count_{0};

    core::Spinlock reverse_map_lock_{core::Rank::kReverseMap};
    core::List<FileMapping, &FileMapping::reverse_map_hook> mappings_;
};

// What a VMA can map: an object with a page cache. fs::Inode derives from it.
class Mappable : public core::RefCounted {
  public:
    virtual PageCache& page_cache() = 0;
    // Current size in bytes: accesses to pages past it raise SIGBUS. Takes no lock of a rank below kPageCache.
    virtual uint64_t mapped_size() const = 0;
    // For /proc/<pid>/maps.
    virtual std::string_view map_name() const = 0;
    virtual uint64_t map_inode_number() const { return 0; }
    virtual uint64_t map_device() const { return 0; }
    // Made by shmget(2): shmdt(2) may unmap it.
    virtual bool is_system_v_segment() const { return false; }
    // Inspected text (mm/code_policy.h): the file that it shows. Null: an ordinary object.
    virtual core::Ref<Mappable> plain_form() { return nullptr; }
};

}  // namespace mm
