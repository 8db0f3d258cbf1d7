// Bulk changes of page-table entries: emptying, new protections, moving.
#include "core/panic.h"
#include "mm/address_space_state.h"

namespace mm {

using State = AddressSpace::State;

namespace {

// Empties entries first to end - 1 of a leaf table that is not shared, or locked. `stale` gets the address of each
// entry that a processor may remember.
template <typename Stale>
void empty_entries(PageTable& leaf, UserAddr base, unsigned first, unsigned end, State::Zap what, FlushBatch& batch,
                   Stale stale) {
    uint64_t left = TableUse(leaf).entries;
    for (unsigned i = first; i < end && left > 0; i++) {
        PageEntry entry = leaf.get(i);
        if (entry.is_empty()) continue;
        left--;
        bool anonymous = frame_of(entry.frame()).state == Frame::State::kAnonymous;
        if (what == State::Zap::kFilePagesOnly && anonymous) continue;
        PageTables::set(leaf, i, PageEntry());
        if (entry.is_present()) stale(base + i * kPageSize);
        batch.release(entry.frame());
    }
}

}  // namespace

Result<void> State::prepare_zap(UserRange range) {
    FlushBatch batch(tlb);
    return tables.own_partial_leaves(range, batch);
}

void State::zap(UserRange range, FlushBatch& batch) {
    tables.for_each_leaf(range, [&](PageTable& leaf, UserAddr base, unsigned first, unsigned end) {
        if (PageTables::is_shared(leaf)) {
            // All its entries lie in the range, or none (prepare_zap()).
            if (PageTables::has_entries(leaf, first, end)) tables.leave_leaf(base, batch);
            return;
        }
        if (PageTables::is_behind_large(leaf)) {
            if (first == 0 && end == arch::kTableEntries) return tables.leave_leaf(base, batch);
            tables.split_large(base, batch);
        }
        empty_entries(leaf, base, first, end, Zap::kAll, batch, [&](UserAddr page) { batch.stale(page); });
        if (TableUse(leaf).entries == 0) tables.drop_if_empty(base, batch);
    });
}

void State::zap_for_file(UserRange range, Zap what, FlushBatch& batch) {
    tables.for_each_leaf(range, [&](PageTable& leaf, UserAddr base, unsigned first, unsigned end) {
        if (PageTables::is_shared(leaf)) {
            core::SpinGuard guard(PageTables::lock_of_shared(leaf));
            empty_entries(leaf, base, first, end, what, batch, [&](UserAddr page) { batch.stale_for_sharers(page); });
            return;  // stays, even if it is empty now: the others have it too
        }
        empty_entries(leaf, base, first, end, what, batch, [&](UserAddr page) { batch.stale(page); });
        if (TableUse(leaf).entries == 0) tables.drop_if_empty(base, batch);
    });
}

void State::reprotect(const Vma& vma, UserRange range, FlushBatch& batch) {
    const uint64_t flags = vma.page_flags();
    const bool accessible = vma.accessible();
    tables.for_each_leaf(range, [&](PageTable& leaf, UserAddr base, unsigned first, unsigned end) {
        for (unsigned i = first; i < end; i++) {
            PageEntry old = leaf.get(i);
            if (!old.has_frame()) continue;
            PageEntry changed;
            if (!accessible) {
                changed = PageEntry(old.frame(), PageEntry::kHeld);
            } else {
                changed = PageEntry(old.frame(), flags);
                const Frame& frame = frame_of(old.frame());
                // A page of our own need not fault once more to become writable.
                bool own = !vma.is_shared() && frame.state == Frame::State::kAnonymous &&
                           frame.references.load(std::memory_order_acquire) == 1;
                if (vma.protection.write && (old.is_writable() || own)) {
                    changed = changed.with(PageEntry::kWrite | PageEntry::kDirty);
                }
            }
            if (changed == old) continue;
            leaf.set(i, changed);
            // Only less permission must be flushed, and another key, which may mean less: a fault resolves the rest.
            bool less = old.is_present() && (!changed.is_present() || (old.is_writable() && !changed.is_writable()) ||
                                             (old.is_executable() && !changed.is_executable()) ||
                                             old.key() != changed.key());
            if (less) batch.stale(base + i * kPageSize);
        }
        if (PageTables::is_behind_large(leaf)) tables.refit_large(base, batch);
    });
}

Result<void> State::move_entries(UserRange source, UserAddr destination, FlushBatch& batch) {
    // All tables first, so that nothing can fail half way.
    TRY(tables.own_leaves(source, batch, PageTables::LargePages::kSplit));
    Result<void> made;
    tables.for_each_leaf(source, [&](PageTable&, UserAddr base, unsigned first, unsigned end) {
        for (unsigned i : {first, end - 1}) {
            if (!made) return;
            auto leaf = tables.own_leaf(destination + (base + i * kPageSize - source.start), batch);
            if (!leaf) made = fail(leaf.error());
        }
    });
    TRY(std::move(made));
    tables.for_each_leaf(source, [&](PageTable& leaf, UserAddr base, unsigned first, unsigned end) {
        for (unsigned i = first; i < end; i++) {
            PageEntry entry = leaf.get(i);
            if (entry.is_empty()) continue;
            UserAddr from = base + i * kPageSize;
            UserAddr to = destination + (from - source.start);
            PageTable* target = tables.find_leaf(to);
            ASSERT(target);
            PageTables::set(*target, arch::table_index(to.value(), arch::kLeafLevel), entry);
            PageTables::set(leaf, i, PageEntry());
            if (entry.is_present()) batch.stale(from);
        }
    });
    // Not before all is moved: the same table may be one's source and another's destination.
    tables.for_each_leaf(source, [&](PageTable&, UserAddr base, unsigned, unsigned) {
        tables.drop_if_empty(base, batch);
    });
    return {};
}

}  // namespace mm
