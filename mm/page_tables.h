// The page tables of one space's lower half.
//
// The master is an array of the 256 lower top-level entries; every top-level table (one per processor that ran
// the space, and model that it ran as) gets a copy, and changes of the master are made in all of them at once. A
// table page's Frame counts its parents in `references` and its non-empty entries in `index` (TableUse), so that an
// empty table can go at once. The owner's lock is held in all functions.
//
// Leaf tables may be shared by the spaces that come from one another by fork (docs/architecture.md, "Shared leaf tables"):
// every parent entry of a shared table is read-only, and whoever wants to change the table copies it first.
//
// A 2 MiB page is a leaf table all of whose entries map 512 frames in a row with the same rights, and a parent entry
// that is large: the processor reads the entry, all others the table behind it, which the first frame's `index` names.
// The table belongs to the page from the start, so that splitting allocates nothing (docs/architecture.md, "2 MiB
// pages").
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "arch/x86_64/page_table.h"
#include "core/lock.h"
#include "core/result.h"
#include "core/types.h"
#include "mm/frames.h"

namespace mm {

using arch::PageEntry;
using arch::PageTable;

class FlushBatch;

// What a table holds, as kept in its Frame::index: 16 bits of entries in use, of anonymous pages and of pages of
// files (a leaf table's; the zero page is neither), and a bit for each group of 32 entries that has been in use
// since the table was empty, so that nobody looks through 512 entries for one.
struct TableUse {
    static constexpr uint64_t kEntry = 1, kAnonymous = uint64_t{1} << 16, kFile = uint64_t{1} << 32;
    static constexpr unsigned kGroups = 48, kGroupSize = 32;

    explicit TableUse(uint64_t raw)
        : entries(raw & 0xffff), anonymous(raw >> 16 & 0xffff), file(raw >> 32 & 0xffff), groups(raw >> kGroups) {}
    explicit TableUse(const PageTable& table) : TableUse(frame_of(Pfn(to_physical(&table))).index) {}
    // What one entry of a leaf table adds.
    static uint64_t weight(PageEntry entry) {
        if (entry.is_empty()) return 0;
        const Frame::State state = frame_of(entry.frame()).state;
        if (state == Frame::State::kAnonymous) return kEntry + kAnonymous;
        return state == Frame::State::kReserved && entry.frame() == zero_frame() ? kEntry : kEntry + kFile;
    }
    static uint64_t group_of(unsigned index) { return uint64_t{1} << (kGroups + index / kGroupSize); }
    // Entries of `groups` (a sum of group_of()) are stored and change the counts by `change`.
    static void add(PageTable& table, uint64_t groups, uint64_t change) {
        uint64_t& raw = frame_of(Pfn(to_physical(&table))).index;
        uint64_t sum = (raw + change) | groups;
        raw = (sum & 0xffff) != 0 ? sum : 0;
    }
    // Calls visit(index, entry) for each entry in use, which may empty it.
    template <typename Visit>
    static void for_each(const PageTable& table, Visit visit) {
        TableUse use(table);
        uint64_t left = use.entries;
        for (uint64_t groups = use.groups; left > 0 && groups != 0; groups &= groups - 1) {
            const unsigned first = static_cast<unsigned>(std::countr_zero(groups)) * kGroupSize;
            for (unsigned four = first; four < first + kGroupSize; four += 4) {
                const auto* raw = const_cast<const uint64_t*>(table.entries + four);
                if (!(raw[0] | raw[1] | raw[2] | raw[3])) continue;
                for (unsigned i = four; i < four + 4; i++) {
                    PageEntry entry = table.get(i);
                    if (entry.is_empty()) continue;
                    visit(i, entry);
                    if (--left == 0) return;
                }
            }
        }
    }

    uint64_t entries, anonymous, file, groups;
};

class PageTables {
  public:
    PageTables() {}  // not defaulted: value-initialisation would clear it all first
    // Frees all tables; pages that they still map lose a reference. No processor has it loaded.
    ~PageTables();
    PageTables(const PageTables&) = delete;

    // The table that an entry above the leaf level leads to: of a 2 MiB page, the one behind it.
    static Pfn table_frame_of(PageEntry entry) {
        return entry.is_large() ? Pfn(frame_of(entry.frame()).index) : entry.frame();
    }
    static PageTable* table_of(PageEntry entry) { return to_pointer<PageTable>(table_frame_of(entry)); }

    // The entry that leads to the leaf table that covers `address`, or is a 2 MiB page there; empty if there is none.
    // It is writable only if the table is this space's own; if it is not, the table may be shared, or may have been.
    PageEntry leaf_entry(UserAddr address) const;
    // The leaf table that covers `address`; null if there is none. Only to be read, as it may be shared.
    PageTable* find_leaf(UserAddr address) const;
    // The table of level 2 that covers `address`, made if absent. ENOMEM; empty tables above it may then remain.
    Result<PageTable*> make_middle(UserAddr address);
    // The leaf table that covers `address`, to be changed: made if absent, copied if shared; a 2 MiB page is split.
    // ENOMEM: nothing that a program sees has changed; empty middle tables may remain.
    Result<PageTable*> own_leaf(UserAddr address, FlushBatch& batch);
    // The same for the leaf tables that hold entries of the range. ENOMEM: some may be shared still. kKeepWhole: 2 MiB
    // pages that lie in the range as a whole and are not shared stay; refit_large() after changes of the table behind.
    enum class LargePages : uint8_t { kSplit, kKeepWhole };
    Result<void> own_leaves(UserRange range, FlushBatch& batch, LargePages large);
    // Takes those at the two ends of the range that hold entries outside it too out of sharing: what is left that is
    // shared can be dropped as a whole.
    Result<void> own_partial_leaves(UserRange range, FlushBatch& batch);
    // Frees the leaf table that covers `address`, and those above it, as far as they are empty.
    void drop_if_empty(UserAddr address, FlushBatch& batch);
    // Leaves a leaf table, with all that it maps, to its other parents, if there are any.
    void leave_leaf(UserAddr address, FlushBatch& batch);

    // --- huge_pages.cpp. In Frame::flags of a leaf table: its parents are 2 MiB pages, all of them. Who changes an
    // entry of such a table, which is not shared then, splits the page first: all its entries stay alike.
    static constexpr uint16_t kBehindLarge = 1;
    static bool is_behind_large(const PageTable& leaf) {
        return frame_of(Pfn(to_physical(&leaf))).flags == kBehindLarge;
    }
    // Maps a run of frames (mm/frame_runs.h) at `base`, where there is no leaf table, or this space's own with entries
    // of the zero page only. ENOMEM: as own_leaf().
    Result<void> map_large(UserAddr base, Pfn run, uint64_t flags, FlushBatch& batch);
    // The 2 MiB page at `address`, if there is one, becomes its leaf table. It is not shared. Nothing can fail; runs
    // the batch.
    void split_large(UserAddr address, FlushBatch& batch);
    // All entries of the table behind the 2 MiB page at `base` may have changed: the page follows them, or is split if
    // they are not alike. The caller has the batch flush what they lost.
    void refit_large(UserAddr base, FlushBatch& batch);
    // Makes the read-only 2 MiB page at `address` writable again, if nobody else has it or a frame of it. False: it
    // is not.
    bool regain_large(UserAddr address);

    // Copies a leaf table to an empty one, page for page: each page has one more leaf entry, and a private one may be
    // written in neither table any more. The original loses its write permissions too: if others share it, they must not
    // find them when they are left alone with it. What of it a processor may have cached is the caller's to flush.
    static void copy_entries(PageTable& from, PageTable& to);

    // Other spaces have this leaf table too. While it is true for a space that holds its own lock, entries may
    // vanish (a file is truncated) or lose their write permission (another space copies the table), under the lock
    // of the table; nothing else changes. Once false, it stays so until this space forks.
    static bool is_shared(const PageTable& leaf) {
        return frame_of(Pfn(to_physical(&leaf))).references.load(std::memory_order_acquire) > 1;
    }
    // Guards a shared leaf table's entries. Rank::kTopTables: nothing is locked under it.
    static core::Spinlock& lock_of_shared(const PageTable& leaf);

    // As it is now; a shared table's may change (is_shared()).
    PageEntry entry(UserAddr address) const {
        PageTable* leaf = find_leaf(address);
        return leaf ? leaf->get(arch::table_index(address.value(), arch::kLeafLevel)) : PageEntry();
    }
    // Stores an entry of a leaf table that is not shared (or is locked), or of a middle table, and keeps its counts.
    static void set(PageTable& leaf, unsigned index, PageEntry entry) {
        uint64_t change = TableUse::weight(entry) - TableUse::weight(leaf.get(index));
        leaf.set(index, entry);
        TableUse::add(leaf, TableUse::group_of(index), change);
    }
    static void set_middle(PageTable& table, unsigned index, PageEntry entry);
    // Any of entries first to end - 1 is in use.
    static bool has_entries(const PageTable& leaf, unsigned first, unsigned end);
    // One parent fewer; the last one frees the leaf table (or the empty middle table) and drops what it maps.
    static void release(Pfn table);

    // Calls visit(PageTable& leaf, UserAddr base, unsigned first, unsigned end) for each leaf table with entries
    // in the range: entries first to end - 1 belong to it, `base` is the address of entry 0. `visit` may empty
    // the table but not free it.
    template <typename Visit>
    void for_each_leaf(UserRange range, Visit visit) const {
        uint64_t address = range.start.value(), end = range.end.value();
        while (address < end) {
            unsigned missing = 0;
            PageTable* leaf = walk(address, arch::kLeafLevel, missing);
            uint64_t span = arch::entry_span(missing ? missing : 2);
            uint64_t base = core::align_down(address, span), next = base + span;
            if (leaf) {
                visit(*leaf, UserAddr(base), arch::table_index(address, 1),
                      static_cast<unsigned>((std::min(next, end) - base) >> core::kPageShift));
            }
            address = next;
        }
    }

    // Calls visit(PageTable& middle, UserAddr base, unsigned first, unsigned end) for each table of level 2 with
    // entries in the range, and stops at an error: entries first to end - 1 overlap it.
    template <typename Visit>
    Result<void> for_each_middle(UserRange range, Visit visit) const {
        uint64_t address = range.start.value(), end = range.end.value();
        const uint64_t leaf_span = arch::entry_span(2);
        while (address < end) {
            unsigned missing = 0;
            PageTable* middle = walk(address, 2, missing);
            uint64_t span = arch::entry_span(missing ? missing : 3);
            uint64_t base = core::align_down(address, span), next = base + span;
            if (middle) {
                TRY(visit(*middle, UserAddr(base), arch::table_index(address, 2),
                          static_cast<unsigned>((std::min(next, end) - base + leaf_span - 1) / leaf_span)));
            }
            address = next;
        }
        return {};
    }

    // The same for all tables of level 2: visit(PageTable& middle, UserAddr base).
    template <typename Visit>
    Result<void> for_each_middle(Visit visit) const {
        Result<void> result;
        for (unsigned word = 0; word < 4; word++) {
            for (uint64_t bits = used_slots_[word]; bits != 0; bits &= bits - 1) {
                const uint64_t slot = word * 64 + static_cast<unsigned>(std::countr_zero(bits));
                TableUse::for_each(*to_pointer<PageTable>(master_[slot].frame()), [&](unsigned i, PageEntry entry) {
                    UserAddr base(slot * arch::entry_span(4) + i * arch::entry_span(3));
                    if (result) result = visit(*to_pointer<PageTable>(entry.frame()), base);
                });
            }
        }
        return result;
    }

    // Pages that the tables map.
    struct Resident { uint64_t anonymous = 0, file = 0; };
    Resident resident() const;

    // The top-level table of processor `cpu` for programs of `model`, made if absent; if memory lacks, `spare` serves
    // until forget_spare(). Called on that processor, without the owner's lock, and with a spare only if none is in
    // use. Locks: Rank::kTopTables. A space's tables are asked for as one ring-0 model and as confined, no more.
    Pfn prepare_top(unsigned cpu, arch::Model model, Pfn spare);
    void forget_spare(unsigned cpu);
    bool uses_spare(unsigned cpu) const { return spare_cpus_.load(std::memory_order_relaxed) >> cpu & 1; }

  private:
    friend class PageTableWalker;  // tests
    // The table of `level`, or null and in `missing` the level of the empty entry.
    PageTable* walk(uint64_t address, unsigned level, unsigned& missing) const;
    Result<PageTable*> own_entry(PageTable& middle, UserAddr address, FlushBatch& batch);
    void set_top_entry(unsigned slot, PageEntry entry);
    void fill_top(Pfn top, unsigned cpu, arch::Model model) const;
    static void withdraw_large(PageTable& middle, UserAddr address, FlushBatch& batch);
    static void split_entry(PageTable& middle, UserAddr address, FlushBatch& batch);
    static void free_subtree(Pfn table, unsigned level);
    static void drop_run(PageTable& leaf);

    // Read under the owner's lock or top_lock_, written under both.
    PageEntry master_[arch::kFirstKernelSlot];
    uint64_t used_slots_[4] = {};
    // Guards the top-level tables below.
    core::Spinlock top_lock_{core::Rank::kTopTables};
    std::atomic<uint64_t> spare_cpus_{0};  // processors one of whose top tables is the processor's own spare
    // While a running space is confined, other processors still have its isolated table loaded: both kinds exist.
    struct Tops {
        uint64_t cpus = 0, spare_cpus = 0;  // processors that have a table; whose table is their spare
        bool hidden = true;                 // the kernel half has U/S = 0 (mm/top_tables.h)
        uint64_t numbers[arch::kMaxCpus];   // the tables' frames; not initialised but for those processors
        Pfn of(unsigned cpu) const { return Pfn(numbers[cpu]); }
    };
    Tops tops_[2];  // ring 0, ring 3
    static unsigned kind_of(arch::Model model) { return model == arch::Model::kConfined; }
};

// 2 MiB pages that programs have; one that processes share counts once.
uint64_t huge_page_count();

// One table page, empty, with one parent. ENOMEM.
Result<Pfn> allocate_table();

}  // namespace mm
