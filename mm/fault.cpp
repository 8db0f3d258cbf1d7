// Page faults: a walk to the entry, then one of four cases (zero page, fresh page, page of a file, copy on write).
#include <algorithm>

#include "arch/x86_64/page_ops.h"
#include "mm/address_space_state.h"

namespace mm {

using State = AddressSpace::State;
using FaultResult = State::FaultResult;

namespace {
constexpr uint64_t kWritable = PageEntry::kWrite | PageEntry::kDirty;
std::unexpected<FaultError> refuse(FaultError error) { return std::unexpected(error); }
// Pages mapped around a read fault of a file, if they are in memory (Linux's fault_around_bytes: 64 KiB).
constexpr unsigned kFaultAround = 16;
}  // namespace

std::expected<void, FaultError> AddressSpace::fault(UserAddr address, AccessKind kind) {
    for (;;) {
        State::Replacement replacement;
        {
            SpaceGuard guard(*state_);
            auto result = state_->fault_locked(address, kind, State::Force::kNo, replacement);
            if (!replacement.object) [[likely]] return result;
        }
        if (auto replaced = State::replace(replacement); !replaced) return refuse(replaced.error());
    }
}

// A page of a file that is in place in the boot image becomes a page that can be written, in all mappings.
FaultResult State::replace(Replacement& replacement) {
    auto page = replacement.object->page_cache().get(replacement.index, PageCache::Intent::kWrite);
    if (!page) return refuse(page.error() == Errno::kNoMem ? FaultError::kOutOfMemory : FaultError::kPastEnd);
    unref_frame(*page);
    return {};
}

FaultResult State::fault_locked(UserAddr address, AccessKind kind, Force force, Replacement& replacement) {
    Vma* vma = find(address);
    if (!vma) return refuse(FaultError::kNoMapping);
    if (vma->range.start > address) [[unlikely]] {
        vma = grow_stack(address);
        if (!vma) return refuse(FaultError::kNoMapping);
    }
    bool allowed = kind == AccessKind::kWrite     ? vma->protection.write
                   : kind == AccessKind::kExecute ? vma->protection.execute
                                                  : vma->accessible();
    if (!allowed) [[unlikely]] {
        // A debugger may write to a private copy of what the program may only read (ptrace(2)).
        bool forced = force == Force::kYes && kind == AccessKind::kWrite && vma->accessible() && !vma->is_shared();
        if (!forced) return refuse(FaultError::kNoAccess);
    }
    return fault_in_vma(*vma, address.page_down(), kind, replacement);
}

FaultResult State::fault_in_vma(Vma& vma, UserAddr page, AccessKind kind, Replacement& replacement) {
    if (vma.huge_pages == HugePages::kWanted && kind == AccessKind::kWrite && map_huge_page(vma, page)) return {};
    const unsigned index = arch::table_index(page.value(), arch::kLeafLevel);
    PageEntry table = tables.leaf_entry(page);
    PageTable* own = PageTables::table_of(table);
    if (!table.is_present() || !table.is_writable()) {
        // Shared after fork, or absent. What a shared table has can be read.
        if (table.is_present() && kind != AccessKind::kWrite && own->get(index).is_present()) {
            arch::flush_page_here(page.value());
            return {};
        }
        if (table.is_large() && vma.protection.write && tables.regain_large(page)) {
            arch::flush_page_here(page.value());
            return {};
        }
        FlushBatch batch(tlb);
        auto made = tables.own_leaf(page, batch);
        if (!made) [[unlikely]] return refuse(FaultError::kOutOfMemory);
        own = *made;
    }
    PageTable& leaf = *own;
    PageEntry entry = leaf.get(index);
    if (entry.is_present()) {
        if (kind == AccessKind::kWrite && !entry.is_writable()) {
            if (vma.is_shared()) return fault_file(vma, page, kind, leaf, replacement);
            return copy_on_write(vma, page, leaf, entry);
        }
        // Another thread was faster, or the processor remembers an entry from before it was relaxed.
        arch::flush_page_here(page.value());
        return {};
    }
    if (vma.object) return fault_file(vma, page, kind, leaf, replacement);
    return fault_anonymous(vma, page, kind, leaf);
}

FaultResult State::fault_anonymous(Vma& vma, UserAddr page, AccessKind kind, PageTable& leaf) {
    unsigned index = arch::table_index(page.value(), arch::kLeafLevel);
    if (kind != AccessKind::kWrite) {
        PageTables::set(leaf, index, PageEntry(zero_frame(), vma.page_flags()));
        return {};
    }
    auto frame = allocate_frame(Fill::kZeroed, Frame::State::kAnonymous);
    if (!frame) [[unlikely]] return refuse(FaultError::kOutOfMemory);
    PageTables::set(leaf, index, PageEntry(*frame, vma.page_flags() | (vma.protection.write ? kWritable : 0)));
    vma.has_own_pages = true;
    return {};
}

FaultResult State::copy_on_write(Vma& vma, UserAddr page, PageTable& leaf, PageEntry old) {
    unsigned index = arch::table_index(page.value(), arch::kLeafLevel);
    const Frame& frame = frame_of(old.frame());
    uint64_t writable = vma.protection.write ? kWritable : 0;
    // The last of those who shared it keeps it.
    if (frame.state == Frame::State::kAnonymous && frame.references.load(std::memory_order_acquire) == 1) {
        leaf.set(index, old.with(writable));
        arch::flush_page_here(page.value());
        return {};
    }
    auto copy = allocate_frame(Fill::kUninitialized, Frame::State::kAnonymous);
    if (!copy) [[unlikely]] return refuse(FaultError::kOutOfMemory);
    arch::copy_page(to_pointer(*copy), to_pointer(old.frame()));
    PageTables::set(leaf, index, PageEntry(*copy, vma.page_flags() | writable));
    vma.has_own_pages = true;
    flush(tlb, page);
    unref_frame(old.frame());
    return {};
}

void State::fault_around(Vma& vma, UserAddr page, PageTable& leaf) {
    uint64_t window = kFaultAround * kPageSize;
    UserAddr start = std::max(UserAddr(core::align_down(page.value(), window)), vma.range.start);
    UserAddr end = std::min(UserAddr(core::align_down(page.value(), window) + window), vma.range.end);
    uint64_t first = vma.index_of(start);
    uint64_t file_pages = core::align_up(vma.object->mapped_size(), kPageSize) >> core::kPageShift;
    uint64_t count = std::min((end - start) >> core::kPageShift, file_pages > first ? file_pages - first : 0);
    Pfn frames[kFaultAround];
    if (count == 0 || vma.object->page_cache().find_range(first, std::span(frames, count)) == 0) return;
    uint64_t flags = vma.page_flags();
    unsigned slot = arch::table_index(start.value(), arch::kLeafLevel);
    uint64_t used = 0, added = 0;
    for (uint64_t i = 0; i < count; i++, slot++) {
        if (frames[i] == Pfn()) continue;
        if (!leaf.get(slot).is_empty()) {
            unref_frame(frames[i]);
            continue;
        }
        bool writable = vma.is_shared() && vma.protection.write && frame_of(frames[i]).state == Frame::State::kFile;
        PageEntry entry(frames[i], flags | (writable ? kWritable : 0));
        leaf.set(slot, entry);
        used |= TableUse::group_of(slot);
        added += TableUse::weight(entry);
    }
    TableUse::add(leaf, used, added);
}

FaultResult State::fault_file(Vma& vma, UserAddr page, AccessKind kind, PageTable& leaf, Replacement& replacement) {
    uint64_t index = vma.index_of(page);
    uint64_t file_pages = core::align_up(vma.object->mapped_size(), kPageSize) >> core::kPageShift;
    if (index >= file_pages) return refuse(FaultError::kPastEnd);
    unsigned slot = arch::table_index(page.value(), arch::kLeafLevel);
    if (kind != AccessKind::kWrite) {
        fault_around(vma, page, leaf);
        if (!leaf.get(slot).is_empty()) return {};
    }
    bool shared_write = kind == AccessKind::kWrite && vma.is_shared();
    auto got = vma.object->page_cache().get_for_fault(index, shared_write ? PageCache::Intent::kWrite
                                                                          : PageCache::Intent::kRead);
    if (!got) {
        if (got.error() == Errno::kAgain) replacement = {vma.object, index};
        return refuse(got.error() == Errno::kNoMem ? FaultError::kOutOfMemory : FaultError::kPastEnd);
    }
    Frame& frame = frame_of(*got);
    if (kind == AccessKind::kWrite && !vma.is_shared()) {
        auto copy = allocate_frame(Fill::kUninitialized, Frame::State::kAnonymous);
        if (copy) arch::copy_page(to_pointer(*copy), to_pointer(*got));
        unref_frame(*got);
        if (!copy) return refuse(FaultError::kOutOfMemory);
        uint64_t writable = vma.protection.write ? kWritable : 0;
        PageTables::set(leaf, slot, PageEntry(*copy, vma.page_flags() | writable));
        vma.has_own_pages = true;
        return {};
    }
    bool writable = vma.is_shared() && vma.protection.write && frame.state == Frame::State::kFile;
    PageEntry old = leaf.get(slot);
    FlushBatch batch(tlb);
    if (!old.is_empty()) {  // a shared page becomes writable, or was replaced since it was mapped
        if (old.is_present()) batch.stale(page);
        batch.release(old.frame());
    }
    PageTables::set(leaf, slot, PageEntry(*got, vma.page_flags() | (writable ? kWritable : 0)));
    return {};
}

Vma* State::grow_stack(UserAddr address) {
    Vma* vma = find(address);
    if (!vma || !vma->grows_down) return nullptr;
    if (vma->range.start <= address) return vma;
    UserAddr start = address.page_down();
    // mmap(2), "MAP_GROWSDOWN"; getrlimit(2), "RLIMIT_STACK"; Linux's expand_downwards().
    if (vma->range.end - start > stack_limit || start < UserAddr(core::kUserMmapMin)) return nullptr;
    if (Vma* below = previous(*vma)) {
        uint64_t gap = below->accessible() && !below->grows_down ? kStackGuardGap : 0;
        if (start < below->range.end || start - below->range.end < gap) return nullptr;
    }
    uint64_t pages = (vma->range.start - start) >> core::kPageShift;
    if (vma->object) {
        if (vma->first_index < pages) return nullptr;
        vma->first_index -= pages;
    }
    account(*vma, -1);
    vma->range.start = start;
    account(*vma, +1);
    return vma;
}

void State::populate_locked(UserRange range, Replacement& replacement) {
    UserAddr address = range.start;
    while (address < range.end) {
        Vma* vma = find(address);
        if (!vma || vma->range.start >= range.end) return;
        address = std::max(address, vma->range.start);
        UserAddr end = std::min(vma->range.end, range.end);
        if (!vma->accessible()) {
            address = end;
            continue;
        }
        // Private writable memory gets its own pages at once (Linux's populate_vma_page_range()).
        AccessKind kind = vma->protection.write && !vma->is_shared() ? AccessKind::kWrite : AccessKind::kRead;
        while (address < end) {
            if (!fault_in_vma(*vma, address, kind, replacement)) return;
            bool huge = vma->huge_pages == HugePages::kWanted && tables.leaf_entry(address).is_large();
            address = huge ? UserAddr(core::align_down(address.value(), core::kHugePageSize) + core::kHugePageSize)
                           : address + kPageSize;
        }
    }
}

}  // namespace mm
