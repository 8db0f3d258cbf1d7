// 2 MiB pages of private anonymous memory: when a program gets one, and how it is made, split and freed. Until it is
// split it is shared, copied and left as the leaf table that stands behind it (mm/page_tables.h).
#include "arch/x86_64/page_ops.h"
#include "mm/address_space_state.h"
#include "mm/frame_runs.h"

namespace mm {

using State = AddressSpace::State;

namespace {

constexpr uint64_t kWritable = PageEntry::kWrite | PageEntry::kDirty;
constexpr uint64_t kAllAnonymous = arch::kTableEntries * (TableUse::kEntry + TableUse::kAnonymous) |
                                   uint64_t{0xffff} << TableUse::kGroups;
std::atomic<uint64_t> g_huge_pages{0};

Frame& frame_of_table(const PageTable& table) { return frame_of(Pfn(to_physical(&table))); }

// No frame of the run has another holder than `leaf`, which is not shared: it stays so until its space forks.
bool has_run_alone(const PageTable& leaf) {
    const Frame* frames = &frame_of(leaf.get(0).frame());
    for (unsigned i = 0; i < kRunFrames; i++) {
        if (frames[i].references.load(std::memory_order_acquire) != 1) return false;
    }
    return true;
}

}  // namespace

uint64_t huge_page_count() { return g_huge_pages.load(std::memory_order_relaxed); }

Result<void> PageTables::map_large(UserAddr base, Pfn run, uint64_t flags, FlushBatch& batch) {
    PageTable& middle = *TRY(make_middle(base));
    const unsigned index = arch::table_index(base.value(), 2);
    Pfn table = middle.get(index).frame();
    if (middle.get(index).is_empty()) {
        table = TRY(allocate_table());
    } else {
        // Its zero pages, before somebody who still sees them could miss a write.
        set_middle(middle, index, PageEntry());
        batch.stale({base, base + core::kHugePageSize});
        batch.run();
    }
    PageTable& leaf = *to_pointer<PageTable>(table);
    for (unsigned i = 0; i < arch::kTableEntries; i++) leaf.set(i, PageEntry(run + i, flags));
    frame_of(table).index = kAllAnonymous;
    frame_of(table).flags = kBehindLarge;
    frame_of(run).index = table.number();
    set_middle(middle, index, PageEntry(run, flags | PageEntry::kLarge));
    g_huge_pages.fetch_add(1, std::memory_order_relaxed);
    return {};
}

// No processor may have the 2 MiB translation and one of 4 KiB in it at the same time (AMD Family 10h Revision Guide,
// erratum 383; Linux's __split_huge_pmd_locked()): it goes first. Who touches the memory meanwhile waits for the lock.
void PageTables::withdraw_large(PageTable& middle, UserAddr address, FlushBatch& batch) {
    middle.set(arch::table_index(address.value(), 2), PageEntry());
    batch.stale(address.page_down());
    batch.run();
}

void PageTables::split_entry(PageTable& middle, UserAddr address, FlushBatch& batch) {
    const unsigned index = arch::table_index(address.value(), 2);
    const Pfn table = table_frame_of(middle.get(index));
    withdraw_large(middle, address, batch);
    frame_of(table).flags = 0;
    g_huge_pages.fetch_sub(1, std::memory_order_relaxed);
    middle.set(index, PageEntry::user_table(table));
}

void PageTables::split_large(UserAddr address, FlushBatch& batch) {
    unsigned missing = 0;
    PageTable* middle = walk(address.value(), 2, missing);
    if (middle && middle->get(arch::table_index(address.value(), 2)).is_large()) split_entry(*middle, address, batch);
}

void PageTables::refit_large(UserAddr base, FlushBatch& batch) {
    unsigned missing = 0;
    PageTable& middle = *walk(base.value(), 2, missing);
    const unsigned index = arch::table_index(base.value(), 2);
    const PageTable& leaf = *table_of(middle.get(index));
    const PageEntry first = leaf.get(0);
    bool alike = first.is_present();
    for (unsigned i = 1; alike && i < arch::kTableEntries; i++) alike = leaf.get(i).flags() == first.flags();
    if (alike) middle.set(index, first.with(PageEntry::kLarge));
    else split_entry(middle, base, batch);
}

bool PageTables::regain_large(UserAddr address) {
    unsigned missing = 0, index = arch::table_index(address.value(), 2);
    PageTable* middle = walk(address.value(), 2, missing);
    if (!middle || !middle->get(index).is_large()) return false;
    PageTable& leaf = *table_of(middle->get(index));
    if (is_shared(leaf)) return false;
    if (!leaf.get(0).is_writable()) {  // another space copied the table
        if (!has_run_alone(leaf)) return false;
        for (unsigned i = 0; i < arch::kTableEntries; i++) leaf.set(i, leaf.get(i).with(kWritable));
    }
    middle->set(index, middle->get(index).with(kWritable));
    return true;
}

// Empties the last reference to a table behind a 2 MiB page.
void PageTables::drop_run(PageTable& leaf) {
    g_huge_pages.fetch_sub(1, std::memory_order_relaxed);
    const Pfn run = leaf.get(0).frame();
    const bool alone = has_run_alone(leaf);
    arch::zero_page(&leaf);
    frame_of_table(leaf).flags = 0;
    if (alone) return free_frames(run, kRunOrder);
    for (unsigned i = 0; i < kRunFrames; i++) unref_frame(run + i);
}

bool State::map_huge_page(Vma& vma, UserAddr page) {
    const UserAddr base(core::align_down(page.value(), core::kHugePageSize)), end = base + core::kHugePageSize;
    if (no_huge_pages || vma.object || !vma.protection.write) return false;
    if (base < vma.range.start || end > vma.range.end) return false;
    if (PageEntry table = tables.leaf_entry(base); !table.is_empty()) {
        if (table.is_large() || !table.is_writable()) return false;
        TableUse use(*PageTables::table_of(table));
        if (use.anonymous != 0 || use.file != 0) return false;
    }
    auto run = allocate_run();
    if (!run) return false;
    FlushBatch batch(tlb);
    if (!tables.map_large(base, *run, vma.page_flags() | kWritable, batch)) {
        free_frames(*run, kRunOrder);
        return false;
    }
    vma.has_own_pages = true;
    return true;
}

}  // namespace mm
