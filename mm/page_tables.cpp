#include "mm/page_tables.h"

#include <bit>
#include <utility>

#include "arch/x86_64/page_ops.h"
#include "arch/x86_64/top_table.h"
#include "core/panic.h"
#include "mm/flush_batch.h"
#include "mm/top_tables.h"

namespace mm {

namespace {
PageTable* table_of(PageEntry entry) { return to_pointer<PageTable>(entry.frame()); }
Frame& frame_of_table(const PageTable& table) { return frame_of(Pfn(to_physical(&table))); }
}  // namespace

Result<Pfn> allocate_table() { return allocate_frame(Fill::kZeroed, Frame::State::kPageTable); }

void PageTables::set(PageTable& table, unsigned index, PageEntry entry) {
    bool was_empty = table.get(index).is_empty();
    table.set(index, entry);
    if (was_empty == entry.is_empty()) return;
    Frame& frame = frame_of_table(table);
    frame.index += was_empty ? 1 : uint64_t(-1);
    note_use(frame, index);
}

PageTable* PageTables::walk(uint64_t address, unsigned& missing) const {
    PageEntry entry = master_[arch::table_index(address, 4)];
    for (unsigned level = 4;; ) {
        if (!entry.is_present()) {
            missing = level;
            return nullptr;
        }
        PageTable* table = table_of(entry);
        if (--level == arch::kLeafLevel) return table;
        entry = table->get(arch::table_index(address, level));
    }
}

PageTable* PageTables::find_leaf(UserAddr address) const {
    PageEntry entry = master_[arch::table_index(address.value(), 4)];
    if (!entry.is_present()) return nullptr;
    entry = table_of(entry)->get(arch::table_index(address.value(), 3));
    if (!entry.is_present()) return nullptr;
    entry = table_of(entry)->get(arch::table_index(address.value(), 2));
    return entry.is_present() ? table_of(entry) : nullptr;
}

Result<PageTable*> PageTables::make_leaf(UserAddr address) {
    if (PageTable* leaf = find_leaf(address)) [[likely]] return leaf;
    unsigned slot = arch::table_index(address.value(), 4);
    if (!master_[slot].is_present()) set_top_entry(slot, PageEntry::user_table(TRY(allocate_table())));
    PageTable* table = table_of(master_[slot]);
    for (unsigned level = 3; level > arch::kLeafLevel; level--) {
        unsigned index = arch::table_index(address.value(), level);
        if (!table->get(index).is_present()) set(*table, index, PageEntry::user_table(TRY(allocate_table())));
        table = table_of(table->get(index));
    }
    return table;
}

void PageTables::drop_if_empty(UserAddr address, FlushBatch& batch) {
    // tables[n] is the table of level n on the path to `address`.
    PageTable* tables[4] = {};
    unsigned slot = arch::table_index(address.value(), 4);
    PageEntry entry = master_[slot];
    unsigned lowest = 4;
    while (entry.is_present() && lowest > arch::kLeafLevel) {
        tables[--lowest] = table_of(entry);
        entry = tables[lowest]->get(arch::table_index(address.value(), lowest));
    }
    for (unsigned level = lowest; level <= 3; level++) {
        if (frame_of_table(*tables[level]).index != 0) return;
        Pfn frame(to_physical(tables[level]));
        if (level == 3) set_top_entry(slot, PageEntry());
        else set(*tables[level + 1], arch::table_index(address.value(), level + 1), PageEntry());
        batch.stale(address);
        batch.release(frame);
    }
}

void PageTables::set_top_entry(unsigned slot, PageEntry entry) {
    core::SpinGuard guard(top_lock_);
    master_[slot] = entry;
    uint64_t bit = uint64_t{1} << (slot % 64);
    if (entry.is_empty()) used_slots_[slot / 64] &= ~bit;
    else used_slots_[slot / 64] |= bit;
    for (const Tops& tops : tops_) {
        for (uint64_t cpus = tops.cpus; cpus != 0; cpus &= cpus - 1) {
            to_pointer<PageTable>(tops.of[std::countr_zero(cpus)])->set(slot, entry);
        }
    }
}

void PageTables::fill_top(Pfn top, unsigned cpu, arch::Model model) const {
    PageTable* table = to_pointer<PageTable>(top);
    for (unsigned word = 0; word < 4; word++) {
        for (uint64_t bits = used_slots_[word]; bits != 0; bits &= bits - 1) {
            unsigned slot = word * 64 + static_cast<unsigned>(std::countr_zero(bits));
            table->set(slot, master_[slot]);
        }
    }
    for (unsigned slot : {arch::kProcessorSlot, arch::kExposedSlot}) {
        table->set(slot, PageEntry(arch::processor_top_entry(slot, cpu, model)));
    }
}

Pfn PageTables::prepare_top(unsigned cpu, arch::Model model, Pfn spare) {
    core::SpinGuard guard(top_lock_);
    Tops& tops = tops_[kind_of(model)];
    if (tops.of[cpu] != Pfn()) return tops.of[cpu];
    uint64_t bit = uint64_t{1} << cpu;
    bool hidden = model != arch::Model::kIsolated;  // U/S = 0: `none` too has the kernel outside of keys
    if (auto fresh = allocate_top_table(hidden)) {
        tops.of[cpu] = *fresh;
    } else {
        arch::zero_words(to_pointer(spare), arch::kFirstKernelSlot);
        fill_kernel_half(spare, hidden);
        tops.of[cpu] = spare;
        tops.spare_cpus |= bit;
        spare_cpus_ |= bit;
    }
    tops.cpus |= bit;
    tops.hidden = hidden;
    fill_top(tops.of[cpu], cpu, model);
    return tops.of[cpu];
}

void PageTables::forget_spare(unsigned cpu) {
    if (!uses_spare(cpu)) return;
    core::SpinGuard guard(top_lock_);
    uint64_t bit = uint64_t{1} << cpu;
    spare_cpus_ &= ~bit;
    for (Tops& tops : tops_) {
        if (!(tops.spare_cpus & bit)) continue;
        tops.spare_cpus &= ~bit;
        tops.cpus &= ~bit;
        tops.of[cpu] = Pfn();
    }
}

namespace {

// Empties a table of `left` entries and gives each to `drop`. Most tables hold few entries, close together.
template <typename Drop>
void drain(PageTable& table, Frame& frame, Drop drop) {
    constexpr unsigned kGroup = 8;
    uint64_t left = frame.index;
    unsigned first = core::align_down(arch::kTableEntries - frame.flags, kGroup);
    // Nobody else sees the table any more, so that its words may be read together.
    auto* words = const_cast<uint64_t*>(table.entries);
    auto* group = words + first;
    while (left > 0) {
        // Entries below the lowest that is known of come last.
        if (group == words + arch::kTableEntries) group = words;
        uint64_t* const end = group + kGroup;
        if ((group[0] | group[1] | group[2] | group[3] | group[4] | group[5] | group[6] | group[7]) == 0) {
            group = end;
            continue;
        }
        for (; group != end; group++) {
            if (*group == 0) continue;
            left--;
            drop(PageEntry(std::exchange(*group, 0)));
        }
    }
    frame.index = 0;
}

}  // namespace

// Drops one parent of the table that `entry` (of a table of level + 1) leads to.
void PageTables::free_subtree(PageEntry entry, unsigned level) {
    Frame& frame = frame_of(entry.frame());
    if (frame.references.load(std::memory_order_acquire) > 1) {
        if (frame.references.fetch_sub(1, std::memory_order_acq_rel) > 1) return;
        frame.references.store(1, std::memory_order_relaxed);
    }
    PageTable& table = *table_of(entry);
    if (level > arch::kLeafLevel) {
        drain(table, frame, [level](PageEntry child) { free_subtree(child, level - 1); });
    } else {
        drain(table, frame, [](PageEntry page) {
            if (page.has_frame()) unref_frame(page.frame());
        });
    }
    free_frame(entry.frame());
}

PageTables::~PageTables() {
    ASSERT(spare_cpus_ == 0);
    for (unsigned word = 0; word < 4; word++) {
        for (uint64_t bits = used_slots_[word]; bits != 0; bits &= bits - 1) {
            unsigned slot = word * 64 + static_cast<unsigned>(std::countr_zero(bits));
            free_subtree(master_[slot], 3);
            for (const Tops& tops : tops_) {
                for (uint64_t cpus = tops.cpus; cpus != 0; cpus &= cpus - 1) {
                    to_pointer<PageTable>(tops.of[std::countr_zero(cpus)])->set(slot, PageEntry());
                }
            }
        }
    }
    for (const Tops& tops : tops_) {
        for (uint64_t cpus = tops.cpus; cpus != 0; cpus &= cpus - 1) {
            free_top_table(tops.of[std::countr_zero(cpus)], tops.hidden);
        }
    }
}

}  // namespace mm
