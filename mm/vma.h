// One mapping of a range of pages ("virtual memory area"), and how it looks in page-table entries.
#pragma once

#include <cstdint>
#include <string_view>

#include "arch/x86_64/page_table.h"
#include "mm/address_space.h"
#include "mm/page_cache.h"

namespace mm {

// madvise(2): MADV_HUGEPAGE, MADV_NOHUGEPAGE.
enum class HugePages : uint8_t { kUnadvised, kWanted, kUnwanted };

struct Vma : FileMapping {
    Vma() {}  // not defaulted: make() would clear it all first
    UserRange range;
    AddressSpace::State* space = nullptr;
    Protection protection, max_protection;
    Sharing sharing = Sharing::kPrivate;
    bool grows_down = false;
    bool locked = false;          // mlock
    bool lock_on_fault = false;   // mlock2 MLOCK_ONFAULT
    bool no_reserve = false;
    bool dont_fork = false, wipe_on_fork = false, dont_dump = false;  // madvise
    // Has, or once had, pages of its own (anonymous memory, private copies of file pages): fork copies entries
    // of such VMAs only; all others can be faulted in again.
    bool has_own_pages = false;
    HugePages huge_pages = HugePages::kUnadvised;
    uint8_t key = 0;              // protection key of the program (pkey_mprotect(2))
    core::Ref<Mappable> object;   // null: private anonymous memory
    uint64_t first_index = 0;     // page of the object at range.start
    std::string_view label;
    core::TreeHook tree_hook;
    core::ListHook dead_hook;     // unmapped, to be deleted when the lock is released

    uint64_t pages() const { return range.size() >> core::kPageShift; }
    uint64_t index_of(UserAddr address) const {
        return first_index + ((address - range.start) >> core::kPageShift);
    }
    bool is_shared() const { return sharing == Sharing::kShared; }
    bool accessible() const { return protection.read || protection.write || protection.execute; }
    // Counts for overcommit and RLIMIT_DATA.
    bool is_data() const { return !is_shared() && protection.write && !grows_down; }

    // The flags of a leaf entry of this VMA that may be read but not written.
    uint64_t page_flags() const {
        using E = arch::PageEntry;
        return E::kPresent | E::kUser | E::kAccessed | (protection.execute ? 0 : E::kNoExecute) |
               E::key_bits(key);
    }

    // Everything but the range is equal, and `next` starts where this one ends, in memory and in the object.
    bool joins(const Vma& next) const {
        return range.end == next.range.start && protection == next.protection &&
               max_protection == next.max_protection && sharing == next.sharing && grows_down == next.grows_down &&
               locked == next.locked && lock_on_fault == next.lock_on_fault && no_reserve == next.no_reserve &&
               dont_fork == next.dont_fork && wipe_on_fork == next.wipe_on_fork && dont_dump == next.dont_dump &&
               object == next.object && label == next.label && key == next.key && huge_pages == next.huge_pages &&
               (!object || first_index + pages() == next.first_index);
    }
    // A copy of everything but range, hooks and `space`.
    void copy_attributes(const Vma& other) {
        protection = other.protection;
        max_protection = other.max_protection;
        sharing = other.sharing;
        grows_down = other.grows_down;
        locked = other.locked;
        lock_on_fault = other.lock_on_fault;
        no_reserve = other.no_reserve;
        dont_fork = other.dont_fork;
        wipe_on_fork = other.wipe_on_fork;
        dont_dump = other.dont_dump;
        has_own_pages = other.has_own_pages;
        huge_pages = other.huge_pages;
        key = other.key;
        object = other.object;
        first_index = other.first_index;
        label = other.label;
    }

    struct Order {
        bool operator()(const Vma& a, const Vma& b) const { return a.range.start < b.range.start; }
        bool operator()(const Vma& a, UserAddr b) const { return a.range.start < b; }
        bool operator()(UserAddr a, const Vma& b) const { return a < b.range.start; }
    };
};

using VmaTree = core::Tree<Vma, &Vma::tree_hook, Vma::Order>;
using DeadVmas = core::List<Vma, &Vma::dead_hook>;

}  // namespace mm
