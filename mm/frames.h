// Physical frames: a buddy allocator with per-processor caches of single frames, and one `Frame` record each.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "core/result.h"
#include "core/types.h"

namespace mm {

class PageCache;

enum class Fill : bool { kUninitialized, kZeroed };

// What is known of one physical frame. 32 bytes a frame.
struct Frame {
    // Leaf page-table entries that map it, plus one if a page cache owns it, plus temporary holders.
    // For a page-table page: the number of its parents (shared tables). Free frames have 0.
    std::atomic<uint32_t> references{0};
    uint8_t order = 0;
    enum class State : uint8_t { kReserved, kFree, kKernel, kAnonymous, kFile, kPageTable } state{};
    uint16_t flags = 0;
    PageCache* cache = nullptr;  // kFile: the owner
    uint64_t index = 0;          // kFile: page index in the owner
    Frame* next = nullptr;       // free lists
};

struct MemoryRange {
    PhysAddr start;
    PhysAddr end;
};

// Builds the frame table for all usable memory. `usable` and `reserved` (kernel, boot image, start info) are
// byte ranges; reserved frames get state kReserved and are never allocated, but can be mapped (boot image).
// The frame table itself is taken from `usable`. Call once, before anything else in mm/.
void initialize_frames(std::span<const MemoryRange> usable, std::span<const MemoryRange> reserved);

// One frame, or 2^order contiguous and aligned ones. The caller owns one reference. ENOMEM.
Result<Pfn> allocate_frame(Fill fill, Frame::State state);
Result<Pfn> allocate_frames(unsigned order, Fill fill, Frame::State state);
// Returns frames to the allocator whatever their reference count (the owner knows).
void free_frames(Pfn first, unsigned order);
inline void free_frame(Pfn frame) { free_frames(frame, 0); }

Frame& frame_of(Pfn pfn);
bool is_ram(Pfn pfn);
Pfn pfn_of(const Frame& frame);
// One more / one fewer holder; the last release frees the frame (kReserved frames are never freed).
void ref_frame(Pfn pfn);
void unref_frame(Pfn pfn);

// The direct map: every frame's kernel address.
void* to_pointer(PhysAddr address);
inline void* to_pointer(Pfn pfn) { return to_pointer(pfn.address()); }
template <typename T>
T* to_pointer(PhysAddr address) { return static_cast<T*>(to_pointer(address)); }
PhysAddr to_physical(const void* direct_map_pointer);

struct MemoryStatistics {
    uint64_t total_pages, free_pages, page_cache_pages, anonymous_pages, page_table_pages, kernel_pages;
};
MemoryStatistics memory_statistics();

// Test support: fail the n-th allocation from now (0 = never). Also counts in operator new.
void inject_allocation_failure(uint64_t countdown);

}  // namespace mm
