// Leaf tables that several spaces share after fork: taking them out of sharing, and leaving them.
#include <algorithm>

#include "mm/flush_batch.h"
#include "mm/page_tables.h"

namespace mm {

void PageTables::copy_entries(PageTable& from, PageTable& to) {
    TableUse::for_each(from, [&](unsigned i, PageEntry entry) {
        Frame& frame = frame_of(entry.frame());
        if (frame.state != Frame::State::kReserved) {
            frame.references.fetch_add(1, std::memory_order_relaxed);
            if (frame.state == Frame::State::kAnonymous && entry.is_writable()) {
                entry = entry.without(PageEntry::kWrite | PageEntry::kDirty);
                from.set(i, entry);
            }
        }
        to.set(i, entry);
    });
    frame_of(Pfn(to_physical(&to))).index = frame_of(Pfn(to_physical(&from))).index;
}

bool PageTables::has_entries(const PageTable& leaf, unsigned first, unsigned end) {
    for (unsigned i = first; i < end; i++) {
        if (!leaf.get(i).is_empty()) return true;
    }
    return false;
}

core::Spinlock& PageTables::lock_of_shared(const PageTable& leaf) {
    using Lock = core::Spinlock;
    constexpr auto kRank = core::Rank::kTopTables;
    static constinit Lock locks[8] = {Lock(kRank), Lock(kRank), Lock(kRank), Lock(kRank),
                                      Lock(kRank), Lock(kRank), Lock(kRank), Lock(kRank)};
    return locks[Pfn(to_physical(&leaf)).number() % 8];
}

// The leaf table at `address`, which exists and whose entry in `middle` is read-only or a 2 MiB page. A table that the
// others have left is this space's again, with the write permissions that its entries still have.
Result<PageTable*> PageTables::own_entry(PageTable& middle, UserAddr address, FlushBatch& batch) {
    unsigned index = arch::table_index(address.value(), 2);
    PageEntry entry = middle.get(index);
    PageTable* table = table_of(entry);
    if (!is_shared(*table)) {
        if (entry.is_large()) split_entry(middle, address, batch);
        else middle.set(index, entry.with(PageEntry::kWrite));
        return table;
    }
    Pfn fresh = TRY(allocate_table());
    PageTable* copy = to_pointer<PageTable>(fresh);
    {
        core::SpinGuard guard(lock_of_shared(*table));
        copy_entries(*table, *copy);
    }
    if (entry.is_large()) withdraw_large(middle, address, batch);
    middle.set(index, PageEntry::user_table(fresh));
    // Translations stay right: the pages are the same, and none was writable. But a processor may remember where the
    // old table lies, which others may change once it is left: INVLPG of any page makes it forget (SDM vol. 3,
    // 4.10.4.1), before the batch drops the parent.
    if (!entry.is_large()) batch.stale(address.page_down());
    batch.release(table_frame_of(entry));
    return copy;
}

Result<PageTable*> PageTables::own_leaf(UserAddr address, FlushBatch& batch) {
    PageEntry entry = leaf_entry(address);
    if (entry.is_present() && entry.is_writable() && !entry.is_large()) return table_of(entry);
    PageTable& middle = *TRY(make_middle(address));
    if (entry.is_present()) return own_entry(middle, address, batch);
    Pfn fresh = TRY(allocate_table());
    set_middle(middle, arch::table_index(address.value(), 2), PageEntry::user_table(fresh));
    return to_pointer<PageTable>(fresh);
}

Result<void> PageTables::own_leaves(UserRange range, FlushBatch& batch, LargePages large) {
    const uint64_t span = arch::entry_span(2);
    return for_each_middle(range, [&](PageTable& middle, UserAddr base, unsigned first, unsigned end) -> Result<void> {
        for (unsigned i = first; i < end; i++) {
            PageEntry entry = middle.get(i);
            if (!entry.is_present() || (entry.is_writable() && !entry.is_large())) continue;
            UserAddr start = base + i * span;
            UserRange part{std::max(start, range.start), std::min(start + span, range.end)};
            const bool may_stay = large == LargePages::kKeepWhole && part.size() == span;
            if (may_stay && entry.is_large() && !is_shared(*table_of(entry))) continue;
            unsigned from = static_cast<unsigned>((part.start - start) >> core::kPageShift);
            unsigned to = static_cast<unsigned>((part.end - start) >> core::kPageShift);
            if (has_entries(*table_of(entry), from, to)) TRY(own_entry(middle, part.start, batch));
        }
        return {};
    });
}

Result<void> PageTables::own_partial_leaves(UserRange range, FlushBatch& batch) {
    const uint64_t span = arch::entry_span(2);
    UserAddr last = range.end - kPageSize;
    for (UserAddr address : {range.start, last}) {
        PageEntry entry = leaf_entry(address);
        if (!entry.is_present() || entry.is_writable() || !is_shared(*table_of(entry))) continue;
        UserAddr base(core::align_down(address.value(), span));
        unsigned first = range.start > base ? arch::table_index(range.start.value(), arch::kLeafLevel) : 0;
        unsigned end = last - base < span ? arch::table_index(last.value(), arch::kLeafLevel) + 1 : arch::kTableEntries;
        const PageTable& leaf = *table_of(entry);
        bool has_others = has_entries(leaf, 0, first) || has_entries(leaf, end, arch::kTableEntries);
        if (has_others && has_entries(leaf, first, end)) TRY(own_leaf(address, batch));
    }
    return {};
}

void PageTables::leave_leaf(UserAddr address, FlushBatch& batch) {
    unsigned missing = 0, index = arch::table_index(address.value(), 2);
    PageTable& middle = *walk(address.value(), 2, missing);
    PageEntry entry = middle.get(index);
    set_middle(middle, index, PageEntry());
    UserAddr base(core::align_down(address.value(), arch::entry_span(2)));
    if (entry.is_large()) batch.stale(base);  // one translation
    else batch.stale({base, base + arch::entry_span(2)});
    batch.release(table_frame_of(entry));
    drop_if_empty(base, batch);
}

}  // namespace mm
