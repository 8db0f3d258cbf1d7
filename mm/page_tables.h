// The page tables of one space's lower half.
//
// The master is an array of the 256 lower top-level entries; every top-level table (one per processor that ran
// the space, and model that it ran as) gets a copy, and changes of the master are made in all of them at once. A table page's Frame
// counts its parents in `references` and its non-empty entries in `index`, so that an empty table can go at
// once. Only the leaf level maps pages. The owner's lock is held in all functions.
#pragma once

#include <algorithm>
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

class PageTables {
  public:
    PageTables() = default;
    // Frees all tables; pages that they still map lose a reference. No processor has it loaded.
    ~PageTables();
    PageTables(const PageTables&) = delete;

    // The leaf table that covers `address`; null if there is none.
    PageTable* find_leaf(UserAddr address) const;
    // Same, made if absent. ENOMEM; empty middle tables may then remain.
    Result<PageTable*> make_leaf(UserAddr address);
    // Frees the leaf table that covers `address`, and those above it, as far as they are empty.
    void drop_if_empty(UserAddr address, FlushBatch& batch);

    PageEntry entry(UserAddr address) const {
        PageTable* leaf = find_leaf(address);
        return leaf ? leaf->get(arch::table_index(address.value(), arch::kLeafLevel)) : PageEntry();
    }
    // Stores an entry and keeps the table's count of non-empty ones.
    static void set(PageTable& table, unsigned index, PageEntry entry);
    // Who stores entries without set() says so, or freeing the table takes longer: Frame::flags of a table is how many
    // entries there are from the lowest that was ever in use to the end.
    static void note_use(Frame& table, unsigned lowest) {
        if (table.flags < arch::kTableEntries - lowest) table.flags = static_cast<uint16_t>(arch::kTableEntries - lowest);
    }

    // Calls visit(PageTable& leaf, UserAddr base, unsigned first, unsigned end) for each leaf table with entries
    // in the range: entries first to end - 1 belong to it, `base` is the address of entry 0. `visit` may empty
    // the table but not free it.
    template <typename Visit>
    void for_each_leaf(UserRange range, Visit visit) const {
        uint64_t address = range.start.value(), end = range.end.value();
        while (address < end) {
            unsigned missing = 0;
            PageTable* leaf = walk(address, missing);
            uint64_t span = arch::entry_span(missing ? missing : 2);
            uint64_t base = core::align_down(address, span), next = base + span;
            if (leaf) {
                visit(*leaf, UserAddr(base), arch::table_index(address, 1),
                      static_cast<unsigned>((std::min(next, end) - base) >> core::kPageShift));
            }
            address = next;
        }
    }

    // The top-level table of processor `cpu` for programs of `model`, made if absent; if memory lacks, `spare` serves
    // until forget_spare(). Called on that processor, without the owner's lock, and with a spare only if none is in
    // use. Locks: Rank::kTopTables. A space's tables are asked for as one ring-0 model and as confined, no more.
    Pfn prepare_top(unsigned cpu, arch::Model model, Pfn spare);
    void forget_spare(unsigned cpu);
    bool uses_spare(unsigned cpu) const { return spare_cpus_.load(std::memory_order_relaxed) >> cpu & 1; }

  private:
    friend class PageTableWalker;  // tests
    // The leaf table, or null and in `missing` the level of the empty entry.
    PageTable* walk(uint64_t address, unsigned& missing) const;
    void set_top_entry(unsigned slot, PageEntry entry);
    void fill_top(Pfn top, unsigned cpu, arch::Model model) const;
    static void free_subtree(PageEntry entry, unsigned level);

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
        Pfn of[arch::kMaxCpus];
    };
    Tops tops_[2];  // ring 0, ring 3
    static unsigned kind_of(arch::Model model) { return model == arch::Model::kConfined; }
};

// One table page, empty, with one parent. ENOMEM.
Result<Pfn> allocate_table();

}  // namespace mm
