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
Frame& frame_of_table(const PageTable& table) { return frame_of(Pfn(to_physical(&table))); }
}  // namespace

Result<Pfn> allocate_table() { return allocate_frame(Fill::kZeroed, Frame::State::kPageTable); }

void PageTables::set_middle(PageTable& table, unsigned index, PageEntry entry) {
    uint64_t before = table.get(index).is_empty() ? 0 : TableUse::kEntry;
    table.set(index, entry);
    TableUse::add(table, TableUse::group_of(index), (entry.is_empty() ? 0 : TableUse::kEntry) - before);
}

PageTable* PageTables::walk(uint64_t address, unsigned wanted, unsigned& missing) const {
    PageEntry entry = master_[arch::table_index(address, 4)];
    for (unsigned level = 4;; ) {
        if (!entry.is_present()) {
            missing = level;
            return nullptr;
        }
        PageTable* table = table_of(entry);
        if (--level == wanted) return table;
        entry = table->get(arch::table_index(address, level));
    }
}

PageEntry PageTables::leaf_entry(UserAddr address) const {
    PageEntry entry = master_[arch::table_index(address.value(), 4)];
    if (!entry.is_present()) return entry;
    entry = table_of(entry)->get(arch::table_index(address.value(), 3));
    if (!entry.is_present()) return entry;
    return table_of(entry)->get(arch::table_index(address.value(), 2));
}

PageTable* PageTables::find_leaf(UserAddr address) const {
    PageEntry entry = leaf_entry(address);
    return entry.is_present() ? table_of(entry) : nullptr;
}

Result<PageTable*> PageTables::make_middle(UserAddr address) {
    unsigned slot = arch::table_index(address.value(), 4), index = arch::table_index(address.value(), 3);
    if (!master_[slot].is_present()) set_top_entry(slot, PageEntry::user_table(TRY(allocate_table())));
    PageTable* table = table_of(master_[slot]);
    if (!table->get(index).is_present()) set_middle(*table, index, PageEntry::user_table(TRY(allocate_table())));
    return table_of(table->get(index));
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
        else set_middle(*tables[level + 1], arch::table_index(address.value(), level + 1), PageEntry());
        batch.stale(address);
        batch.release(frame);
    }
}

PageTables::Resident PageTables::resident() const {
    Resident sum;
    for (unsigned word = 0; word < 4; word++) {
        for (uint64_t bits = used_slots_[word]; bits != 0; bits &= bits - 1) {
            PageEntry top = master_[word * 64 + static_cast<unsigned>(std::countr_zero(bits))];
            TableUse::for_each(*table_of(top), [&](unsigned, PageEntry upper) {
                TableUse::for_each(*table_of(upper), [&](unsigned, PageEntry middle) {
                    TableUse leaf(*table_of(middle));
                    sum.anonymous += leaf.anonymous;
                    sum.file += leaf.file;
                });
            });
        }
    }
    return sum;
}

void PageTables::set_top_entry(unsigned slot, PageEntry entry) {
    core::SpinGuard guard(top_lock_);
    master_[slot] = entry;
    uint64_t bit = uint64_t{1} << (slot % 64);
    if (entry.is_empty()) used_slots_[slot / 64] &= ~bit;
    else used_slots_[slot / 64] |= bit;
    for (const Tops& tops : tops_) {
        for (uint64_t cpus = tops.cpus; cpus != 0; cpus &= cpus - 1) {
            to_pointer<PageTable>(tops.of(std::countr_zero(cpus)))->set(slot, entry);
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
    uint64_t bit = uint64_t{1} << cpu;
    if (tops.cpus & bit) return tops.of(cpu);
    bool hidden = model != arch::Model::kIsolated;  // U/S = 0: `none` too has the kernel outside of keys
    if (auto fresh = allocate_top_table(hidden)) {
        tops.numbers[cpu] = fresh->number();
    } else {
        arch::zero_words(to_pointer(spare), arch::kFirstKernelSlot);
        fill_kernel_half(spare, hidden);
        tops.numbers[cpu] = spare.number();
        tops.spare_cpus |= bit;
        spare_cpus_ |= bit;
    }
    tops.cpus |= bit;
    tops.hidden = hidden;
    fill_top(tops.of(cpu), cpu, model);
    return tops.of(cpu);
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
    }
}

// Drops one parent of the table that `entry` (of a table of level + 1) leads to.
void PageTables::free_subtree(Pfn table_frame, unsigned level) {
    Frame& frame = frame_of(table_frame);
    if (frame.references.load(std::memory_order_acquire) > 1) {
        if (frame.references.fetch_sub(1, std::memory_order_acq_rel) > 1) return;
        frame.references.store(1, std::memory_order_relaxed);
    }
    PageTable* table = to_pointer<PageTable>(table_frame);
    if (level == arch::kLeafLevel && frame.flags == kBehindLarge) {
        drop_run(*table);
    } else {
        TableUse::for_each(*table, [&](unsigned i, PageEntry child) {
            table->set(i, PageEntry());
            if (level > arch::kLeafLevel) free_subtree(table_frame_of(child), level - 1);
            else unref_frame(child.frame());
        });
    }
    frame.index = 0;
    free_frame(table_frame);  // kept for the next table, as it is empty
}

void PageTables::release(Pfn table) { free_subtree(table, arch::kLeafLevel); }

PageTables::~PageTables() {
    ASSERT(spare_cpus_ == 0);
    for (unsigned word = 0; word < 4; word++) {
        for (uint64_t bits = used_slots_[word]; bits != 0; bits &= bits - 1) {
            unsigned slot = word * 64 + static_cast<unsigned>(std::countr_zero(bits));
            free_subtree(master_[slot].frame(), 3);
            for (const Tops& tops : tops_) {
                for (uint64_t cpus = tops.cpus; cpus != 0; cpus &= cpus - 1) {
                    to_pointer<PageTable>(tops.of(std::countr_zero(cpus)))->set(slot, PageEntry());
                }
            }
        }
    }
    for (const Tops& tops : tops_) {
        for (uint64_t cpus = tops.cpus; cpus != 0; cpus &= cpus - 1) {
            free_top_table(tops.of(std::countr_zero(cpus)), tops.hidden);
        }
    }
}

}  // namespace mm
