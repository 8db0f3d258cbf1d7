#include "mm/page_cache.h"

#include <algorithm>

#include "arch/x86_64/page_ops.h"
#include "core/panic.h"
#include "mm/address_space_state.h"
#include "mm/frames.h"

namespace mm {

namespace {
constexpr uint64_t kEndIndex = uint64_t{1} << 48;  // no page lies here or above

Pfn frame_in(uintptr_t slot) { return Pfn(slot); }
uint64_t pages_of(uint64_t bytes) { return (bytes >> core::kPageShift) + (bytes % kPageSize != 0); }
std::atomic<uint64_t> g_visit{0};
}  // namespace

PageCache::~PageCache() {
    ASSERT(mappings_.empty());
    drop_pages(0, kEndIndex);
}

// --- the tree ------------------------------------------------------------------------------------------------

Pfn PageCache::lookup_locked(uint64_t index) const {
    if (index >= capacity()) return Pfn();
    uintptr_t slot = root_;
    for (unsigned height = height_; height > 0 && slot; height--) {
        slot = reinterpret_cast<const Node*>(slot)->slots[(index >> (kBits * (height - 1))) % kSlots];
    }
    return frame_in(slot);
}

Result<void> PageCache::insert_locked(uint64_t index, Pfn frame) {
    while (index >= capacity()) {
        if (root_) {
            Node* node = new (std::nothrow) Node{};
            if (!node) return fail(Errno::kNoMem);
            node->slots[0] = root_;
            root_ = reinterpret_cast<uintptr_t>(node);
        }
        height_++;
    }
    uintptr_t* slot = &root_;
    for (unsigned height = height_; height > 0; height--) {
        if (!*slot) {
            Node* node = new (std::nothrow) Node{};
            // Nodes without pages may remain: they go with the cache.
            if (!node) return fail(Errno::kNoMem);
            *slot = reinterpret_cast<uintptr_t>(node);
        }
        slot = &reinterpret_cast<Node*>(*slot)->slots[(index >> (kBits * (height - 1))) % kSlots];
    }
    ASSERT(!*slot);
    *slot = frame.number();
    Frame& record = frame_of(frame);
    record.cache = this;
    record.index = index;
    page_count_.fetch_add(1, std::memory_order_relaxed);
    return {};
}

bool PageCache::erase_locked(uintptr_t& slot, unsigned height, uint64_t base, uint64_t first, uint64_t end) {
    if (!slot) return true;
    if (height == 0) {
        Frame& record = frame_of(frame_in(slot));
        record.cache = nullptr;
        unref_frame(frame_in(slot));
        slot = 0;
        page_count_.fetch_sub(1, std::memory_order_relaxed);
        return true;
    }
    Node* node = reinterpret_cast<Node*>(slot);
    uint64_t span = uint64_t{1} << (kBits * (height - 1));
    bool empty = true;
    for (unsigned i = 0; i < kSlots; i++) {
        uint64_t child = base + i * span;
        if (child < end && child + span > first) empty &= erase_locked(node->slots[i], height - 1, child, first, end);
        else if (node->slots[i]) empty = false;
    }
    if (empty) {
        delete node;
        slot = 0;
    }
    return empty;
}

void PageCache::drop_pages(uint64_t first_index, uint64_t end_index) {
    core::SpinGuard guard(lock_);
    if (first_index < std::min(end_index, capacity()) && erase_locked(root_, height_, 0, first_index, end_index)) {
        height_ = 0;
    }
}

// --- look-up -------------------------------------------------------------------------------------------------

Result<Pfn> PageCache::find(uint64_t index) {
    core::SpinGuard guard(lock_);
    Pfn frame = lookup_locked(index);
    if (frame == Pfn()) frame = TRY(source_.frame_in_place(index));
    ref_frame(frame);
    return frame;
}

size_t PageCache::find_range(uint64_t first_index, std::span<Pfn> frames) {
    core::SpinGuard guard(lock_);
    // The lowest node above a page; null if there is none. Pages that follow each other share it.
    auto node_of = [this](uint64_t index) -> const Node* {
        if (height_ == 0 || index >= capacity()) return nullptr;
        uintptr_t slot = root_;
        for (unsigned height = height_; height > 1 && slot; height--) {
            slot = reinterpret_cast<const Node*>(slot)->slots[(index >> (kBits * (height - 1))) % kSlots];
        }
        return reinterpret_cast<const Node*>(slot);
    };
    size_t found = 0;
    const Node* node = nullptr;
    for (size_t i = 0; i < frames.size(); i++) {
        uint64_t index = first_index + i;
        if (i == 0 || index % kSlots == 0) node = node_of(index);
        if (node) frames[i] = frame_in(node->slots[index % kSlots]);
        else frames[i] = height_ == 0 ? lookup_locked(index) : Pfn();
        if (frames[i] == Pfn()) {
            auto in_place = source_.frame_in_place(first_index + i);
            if (!in_place) continue;
            frames[i] = *in_place;
        }
        ref_frame(frames[i]);
        found++;
    }
    return found;
}

// The page, with one more reference. `replaces`: it is new and takes the place of the source's own page.
Result<Pfn> PageCache::get_locked(uint64_t index, Intent intent, bool& replaces) {
    replaces = false;
    Pfn frame = lookup_locked(index);
    if (frame != Pfn()) {
        ref_frame(frame);
        return frame;
    }
    if (auto in_place = source_.frame_in_place(index)) {
        if (intent == Intent::kRead) {
            ref_frame(*in_place);
            return *in_place;
        }
        replaces = true;
    } else if (in_place.error() != Errno::kNoData) {
        return in_place;
    }
    if (index >= kEndIndex) return fail(Errno::kFBig);
    Pfn fresh = TRY(allocate_frame(Fill::kUninitialized, Frame::State::kFile));
    auto result = source_.fill(index, fresh);
    if (result) result = insert_locked(index, fresh);
    if (!result) {
        unref_frame(fresh);
        return fail(result.error());
    }
    ref_frame(fresh);
    return fresh;
}

Result<Pfn> PageCache::get(uint64_t index, Intent intent) {
    bool replaces;
    Pfn frame;
    {
        core::SpinGuard guard(lock_);
        frame = TRY(get_locked(index, intent, replaces));
    }
    // Nobody maps the boot image's page any more when the caller begins to write.
    if (replaces) unmap_everywhere(index, index + 1, PrivateCopies::kKeep);
    return frame;
}

Result<Pfn> PageCache::get_for_fault(uint64_t index, Intent intent) {
    core::SpinGuard guard(lock_);
    if (intent == Intent::kWrite && lookup_locked(index) == Pfn() && source_.frame_in_place(index)) {
        return fail(Errno::kAgain);
    }
    bool replaces;
    return get_locked(index, intent, replaces);
}

// --- shrinking -----------------------------------------------------------------------------------------------

void PageCache::truncate(uint64_t new_size) {
    uint64_t first_gone = pages_of(new_size), partial = new_size >> core::kPageShift;
    unmap_everywhere(first_gone, kEndIndex, PrivateCopies::kUnmap);
    drop_pages(first_gone, kEndIndex);
    uint64_t used = new_size % kPageSize;
    if (used == 0) return;
    bool cached;
    {
        core::SpinGuard guard(lock_);
        Pfn frame = lookup_locked(partial);
        cached = frame != Pfn();
        if (cached) {
            std::byte* page = static_cast<std::byte*>(to_pointer(frame));
            std::fill(page + used, page + kPageSize, std::byte{0});
        }
    }
    // In place: mapped again, the source decides what it is now.
    if (!cached) unmap_everywhere(partial, partial + 1, PrivateCopies::kKeep);
}

void PageCache::remove(uint64_t first_index, uint64_t end_index) {
    unmap_everywhere(first_index, end_index, PrivateCopies::kKeep);
    drop_pages(first_index, end_index);
    // A fault between the two may have mapped a page that has just gone.
    unmap_everywhere(first_index, end_index, PrivateCopies::kKeep);
}

// --- reverse map ---------------------------------------------------------------------------------------------

void PageCache::add_mapping(FileMapping& mapping) {
    core::SpinGuard guard(reverse_map_lock_);
    mappings_.push_back(mapping);
}

void PageCache::remove_mapping(FileMapping& mapping) {
    core::SpinGuard guard(reverse_map_lock_);
    mapping.reverse_map_hook.unlink();
}

uint64_t PageCache::mapping_count() {
    core::SpinGuard guard(reverse_map_lock_);
    return mappings_.size();
}

bool PageCache::has_shared_writer() {
    core::SpinGuard guard(reverse_map_lock_);
    for (FileMapping& mapping : mappings_) {
        auto& vma = static_cast<Vma&>(mapping);
        if (vma.is_shared() && vma.max_protection.write) return true;
    }
    return false;
}

// Address spaces come before the reverse map in the order of locks, so that theirs is only tried here; a VMA, and
// with it its space, cannot go away while the reverse map is locked. Everybody else takes a space's lock first
// and this one for a moment, so that trying again succeeds.
void PageCache::unmap_everywhere(uint64_t first_index, uint64_t end_index, PrivateCopies copies) {
    if (first_index >= end_index) return;
    const uint64_t visit = g_visit.fetch_add(1, std::memory_order_relaxed) + 1;
    auto what = copies == PrivateCopies::kUnmap ? AddressSpace::State::Zap::kAll
                                                : AddressSpace::State::Zap::kFilePagesOnly;
    for (bool again = true; again;) {
        again = false;
        {
            core::SpinGuard guard(reverse_map_lock_);
            for (FileMapping& mapping : mappings_) {
                if (mapping.visited == visit) continue;
                Vma& vma = static_cast<Vma&>(mapping);
                if (!vma.space->lock.try_lock()) {
                    again = true;
                    continue;
                }
                mapping.visited = visit;
                uint64_t first = std::max(first_index, vma.first_index);
                uint64_t end = std::min(end_index, vma.first_index + vma.pages());
                if (first < end) {
                    UserRange range{vma.range.start + ((first - vma.first_index) << core::kPageShift),
                                    vma.range.start + ((end - vma.first_index) << core::kPageShift)};
                    FlushBatch batch(vma.space->tlb);
                    vma.space->zap_for_file(range, what, batch);
                }
                vma.space->lock.unlock();
            }
        }
        if (again) core::spin_wait();
    }
}

}  // namespace mm
