// Physical frames: a buddy allocator with per-processor caches of single frames, and one `Frame` record each.
//
// Locks: Rank::kFrames inside; any lock of a lower rank may be held. The per-processor caches need none, because
// the kernel is never interrupted (core/lock.h).
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "arch/x86_64/layout.h"
#include "core/result.h"
#include "core/types.h"

namespace mm {

class PageCache;

enum class Fill : bool { kUninitialized, kZeroed };

// What is known of one physical frame. 32 bytes a frame; the table starts as zero bytes.
struct Frame {
    // Leaf page-table entries that map it, plus one if a page cache owns it, plus temporary holders.
    // For a page-table page: the number of its parents (shared tables). Free frames have 0.
    std::atomic<uint32_t> references{0};
    uint8_t order = 0;  // free block, or the head of what allocate_frames() gave
    enum class State : uint8_t { kReserved, kFree, kKernel, kAnonymous, kFile, kPageTable } state{};
    uint16_t flags = 0;  // kKernel: the heap's size class; kPageTable: PageTables::kBehindLarge
    union {
        PageCache* cache = nullptr;  // kFile: the owner
        Frame* previous;             // kFree: free list
        void* free_objects;          // kKernel: the heap's slabs
    };
    uint64_t index = 0;     // kFile: page index in the owner; kKernel: objects in use; else mm/page_tables.h
    Frame* next = nullptr;  // lists of free frames and of slabs
};
static_assert(sizeof(Frame) == 32);
inline constexpr unsigned kFrameStates = 6;

struct MemoryRange {
    PhysAddr start;
    PhysAddr end;
};

// Builds the frame table for all usable memory. `usable` and `reserved` (kernel, boot image, start info) are
// byte ranges; reserved frames get state kReserved and are never allocated, but can be mapped (boot image).
// Reserved ranges may lie inside usable ones or outside. The frame table itself is taken from `usable`. Call
// once, before anything else in mm/; the direct map must cover all ranges. Panics if no range can hold the
// table, or if there are more than 64 pieces.
void initialize_frames(std::span<const MemoryRange> usable, std::span<const MemoryRange> reserved);

// One frame, or 2^order contiguous and aligned ones (order 0 to kMaxOrder). The caller owns one reference. ENOMEM.
inline constexpr unsigned kMaxOrder = 10;
Result<Pfn> allocate_frame(Fill fill, Frame::State state);
Result<Pfn> allocate_frames(unsigned order, Fill fill, Frame::State state);
// Returns frames to the allocator whatever their reference count (the owner knows).
void free_frame(Pfn frame);
void free_frames(Pfn first, unsigned order);

namespace detail {
extern Frame* frame_table;     // indexed by frame number
extern uint64_t frame_count;   // frames that have a record
extern uint64_t total_pages;   // frames that the allocator had at first
}  // namespace detail

// Only for frames below the highest one that initialize_frames() was told of.
inline Frame& frame_of(Pfn pfn) { return detail::frame_table[pfn.number()]; }
inline Pfn pfn_of(const Frame& frame) { return Pfn(static_cast<uint64_t>(&frame - detail::frame_table)); }
// Was part of `usable` or `reserved`.
bool is_ram(Pfn pfn);
// One more / one fewer holder; the last release frees the frame (kReserved frames are not counted).
inline void ref_frame(Pfn pfn) {
    Frame& frame = frame_of(pfn);
    if (frame.state != Frame::State::kReserved) frame.references.fetch_add(1, std::memory_order_relaxed);
}
inline void unref_frame(Pfn pfn) {
    Frame& frame = frame_of(pfn);
    if (frame.state == Frame::State::kReserved) return;
    if (frame.references.fetch_sub(1, std::memory_order_acq_rel) == 1) free_frame(pfn);
}
// A frame that is always zero: reads of untouched anonymous memory map it. kReserved.
Pfn zero_frame();

// The direct map: every frame's kernel address.
#if ISOUNIK_HOST
extern std::byte* host_memory;  // where physical address 0 would be (tests/unit/support)
inline void* to_pointer(PhysAddr address) { return host_memory + address.value(); }
inline PhysAddr to_physical(const void* pointer) {
    return PhysAddr(static_cast<uint64_t>(static_cast<const std::byte*>(pointer) - host_memory));
}
#else
inline void* to_pointer(PhysAddr address) {
    return reinterpret_cast<void*>(arch::kDirectMapBase + address.value());
}
inline PhysAddr to_physical(const void* direct_map_pointer) {
    return PhysAddr(reinterpret_cast<uint64_t>(direct_map_pointer) - arch::kDirectMapBase);
}
#endif
inline void* to_pointer(Pfn pfn) { return to_pointer(pfn.address()); }
template <typename T>
T* to_pointer(PhysAddr address) { return static_cast<T*>(to_pointer(address)); }
template <typename T>
T* to_pointer(Pfn pfn) { return static_cast<T*>(to_pointer(pfn)); }

struct MemoryStatistics {
    uint64_t total_pages, free_pages, page_cache_pages, anonymous_pages, page_table_pages, kernel_pages;
};
MemoryStatistics memory_statistics();
inline uint64_t total_pages() { return detail::total_pages; }  // the same as in the statistics, but cheap

// Test support: fail the n-th allocation from now (0 = never). Counts frames and the kernel heap alike; only
// that one allocation fails.
void inject_allocation_failure(uint64_t countdown);
// True if this allocation is the one to fail: asked by each allocator.
namespace detail {
extern std::atomic<uint64_t> failure_countdown;
bool count_down_failure();
}  // namespace detail
inline bool allocation_must_fail() {
    return detail::failure_countdown.load(std::memory_order_relaxed) != 0 && detail::count_down_failure();
}

}  // namespace mm
