// What an address space is made of. Included by mm/'s own sources only.
#pragma once

#include <atomic>

#include "mm/address_space.h"
#include "mm/flush_batch.h"
#include "mm/page_tables.h"
#include "mm/vma.h"

namespace mm {

// Linux's stack_guard_gap: 256 pages stay free below a VMA that grows down.
inline constexpr uint64_t kStackGuardGap = 256 * kPageSize;
// Linux's default vm.max_map_count.
inline constexpr unsigned kMaxVmas = 65530;

struct AddressSpace::State {
    State() {}  // not defaulted: make() would clear it all first
    ~State();

    // Guards everything below but `tlb`. A second space's lock (fork's child) is taken after its parent's.
    core::Spinlock lock{core::Rank::kAddressSpace};
    VmaTree vmas;
    DeadVmas dead;              // deleted by SpaceGuard after the lock is released
    Vma* last_found = nullptr;  // what find() found last
    unsigned vma_count = 0;
    PageTables tables;
    arch::TlbState tlb;

    UserAddr mmap_top{core::align_down(core::kUserEnd - (uint64_t{128} << 20), kPageSize)};
    // No page between here and mmap_top is free: where the search for a gap starts.
    UserAddr gap_hint = mmap_top;
    UserAddr stack_top;
    uint64_t stack_limit = 8 << 20;
    UserAddr break_start, break_now;
    // Bit n is protection key n: allocated (the execute-only one too), or the kernel's.
    uint16_t used_keys = 0;
    uint8_t execute_only_key = 0;  // 0: none yet
    bool lock_future = false, lock_future_on_fault = false;
    bool no_huge_pages = false;  // prctl(2), PR_SET_THP_DISABLE
    Fallback fallback = Fallback::kRefuse;
    Reason isolation_reason;
    bool maps_text = false;  // some VMA maps, or once mapped, inspected text

    // In pages.
    uint64_t mapped = 0, locked = 0, data = 0, text = 0, stack = 0;

    // --- keys.cpp
    void initialize_keys();
    // Has the program allocated it, or is it key 0?
    bool has_key(int key) const;
    // The lowest free key; 0 if none is left.
    unsigned take_key();
    // The key of a VMA that gets another protection; `wanted` as AddressSpace::protect() has it.
    unsigned key_after(const Vma& vma, Protection protection, int wanted);

    // --- vma_tree.cpp: no function below takes the lock; the caller holds it.
    // The first VMA that ends after `address`; null.
    Vma* find(UserAddr address);
    // The VMA that contains `address`; null.
    Vma* containing(UserAddr address) {
        Vma* vma = find(address);
        return vma && vma->range.start <= address ? vma : nullptr;
    }
    Vma* next(Vma& vma);
    Vma* previous(Vma& vma);
    void insert(Vma& vma);
    // The rest of it for a VMA that has just got its place in the tree, but for account().
    void entered(Vma& vma);
    // Out of the tree; deleted when the lock is released.
    void remove(Vma& vma);
    // The same for one whose range another VMA has taken over: no page is uncounted, and none becomes free.
    void take_out(Vma& vma);
    // Cuts a VMA in two at an address inside of it; returns the upper one. ENOMEM.
    Result<Vma*> split(Vma& vma, UserAddr address);
    // Makes `address` a boundary between VMAs. ENOMEM.
    Result<void> split_at(UserAddr address);
    // Joins neighbours that have become alike, from the VMA before range.start to the one after range.end.
    void merge_around(UserRange range);
    // Joins a new mapping to a neighbour that is like it; false if there is none. `fresh` is not kept.
    bool extend_with(const Vma& fresh);
    // Unmaps one end of a VMA, all but `rest`.
    void trim(Vma& vma, UserRange rest);
    // Something that ended at `end` became free.
    void freed(UserAddr end);
    // Is the whole range free, guard gaps of stacks included?
    bool is_free(UserRange range);
    // The highest free place for `size` bytes below mmap_top, else any. ENOMEM.
    Result<UserAddr> find_gap(uint64_t size);
    // The lowest free place within `limits`. ENOMEM.
    Result<UserAddr> find_gap_between(uint64_t size, UserRange limits);
    // Counts a VMA's pages (sign +1) or uncounts them (-1), before and after changes of its attributes.
    void account(const Vma& vma, int sign);
    // Removes pages and VMAs of a range. ENOMEM: nothing has changed.
    Result<void> unmap_locked(UserRange range);
    // All of [start, end) is mapped.
    bool is_mapped(UserRange range);

    // --- zap.cpp
    // Prepares zap(): shared tables that the range covers in part become this space's own. ENOMEM.
    Result<void> prepare_zap(UserRange range);
    // Empties the entries of a range; pages go when the batch runs. Shared tables are left as a whole.
    void zap(UserRange range, FlushBatch& batch);
    // Empties the entries of a range of pages of a file, in shared tables for all who share them: these map the same
    // file there, or fault in again what they map. Nothing can fail.
    enum class Zap : uint8_t { kAll, kFilePagesOnly };
    void zap_for_file(UserRange range, Zap what, FlushBatch& batch);
    // Applies a VMA's protection to the entries of a range of it, whose tables are this space's own; 2 MiB pages lie in
    // the range as a whole.
    void reprotect(const Vma& vma, UserRange range, FlushBatch& batch);
    // Moves the entries of a range of pages; the destination has none. ENOMEM: nothing has moved.
    Result<void> move_entries(UserRange source, UserAddr destination, FlushBatch& batch);

    // --- isolation.cpp
    // The first VMA that overlaps the range and is executable; null.
    Vma* executable_in(UserRange range);
    // Has pages of its own, which were never inspected, within the range?
    bool has_private_copies(UserRange range);
    // Maps another object in place of `vma.object`, whose pages go. The old one is in `object` after it: to be dropped
    // without the lock.
    void exchange_object(Vma& vma, core::Ref<Mappable>& object, FlushBatch& batch);

    // --- fault.cpp
    // Resolves a fault. `retry`: a page must be replaced in its file first; the caller releases the lock, calls
    // replace(), and comes again.
    struct Replacement {
        core::Ref<Mappable> object;
        uint64_t index = 0;
    };
    using FaultResult = std::expected<void, FaultError>;
    static FaultResult replace(Replacement& replacement);
    enum class Force : bool { kNo, kYes };  // ignore that the VMA is not writable (debuggers, exec)
    FaultResult fault_locked(UserAddr address, AccessKind kind, Force force, Replacement& replacement);
    FaultResult fault_in_vma(Vma& vma, UserAddr page, AccessKind kind, Replacement& replacement);
    FaultResult fault_anonymous(Vma& vma, UserAddr page, AccessKind kind, PageTable& leaf);
    FaultResult fault_file(Vma& vma, UserAddr page, AccessKind kind, PageTable& leaf, Replacement& replacement);
    FaultResult copy_on_write(Vma& vma, UserAddr page, PageTable& leaf, PageEntry old);
    void fault_around(Vma& vma, UserAddr page, PageTable& leaf);
    // huge_pages.cpp. Maps a 2 MiB page of zeroes around `page`; false: the VMA does not hold all of it, the range is
    // in use, or memory is not plenty.
    bool map_huge_page(Vma& vma, UserAddr page);
    // The VMA to be grown down to `address` if there is one. Null: no mapping there.
    Vma* grow_stack(UserAddr address);
    void populate_locked(UserRange range, Replacement& replacement);
};

// Host tests: a new machine has nothing loaded.
void forget_processors();

// The lock for a scope, and the deletion of unmapped VMAs after it: dropping the last reference of a file runs
// code of fs/, which may take locks of lower ranks.
class SpaceGuard {
  public:
    explicit SpaceGuard(AddressSpace::State& state) : state_(state) { state_.lock.lock(); }
    SpaceGuard(const SpaceGuard&) = delete;
    ~SpaceGuard() { release(); }
    // Unlocks, deletes, locks again.
    void cycle() {
        release();
        state_.lock.lock();
        held_ = true;
    }
    void release() {
        if (!held_) return;
        held_ = false;
        DeadVmas dead;
        dead.swap(state_.dead);
        state_.lock.unlock();
        dead.clear_and_dispose([](Vma* vma) { delete vma; });
    }

  private:
    AddressSpace::State& state_;
    bool held_ = true;
};

}  // namespace mm
