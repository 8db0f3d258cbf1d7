// Bulk changes of page-table entries: emptying, new protections, moving.
#include "core/panic.h"
#include "mm/address_space_state.h"

namespace mm {

using State = AddressSpace::State;

void State::zap(UserRange range, Zap what, FlushBatch& batch) {
    tables.for_each_leaf(range, [&](PageTable& leaf, UserAddr base, unsigned first, unsigned end) {
        Frame& table = frame_of(Pfn(to_physical(&leaf)));
        uint64_t left = table.index;
        for (unsigned i = first; i < end && left > 0; i++) {
            PageEntry entry = leaf.get(i);
            if (entry.is_empty()) continue;
            left--;
            const Frame& frame = frame_of(entry.frame());
            if (what == Zap::kFilePagesOnly && frame.state == Frame::State::kAnonymous) continue;
            leaf.set(i, PageEntry());
            table.index--;
            count_resident(frame, -1);
            if (entry.is_present()) batch.stale(base + i * kPageSize);
            batch.release(entry.frame());
        }
        if (table.index == 0) tables.drop_if_empty(base, batch);
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
            // Only less permission must be flushed: a fault resolves the rest.
            bool less = old.is_present() && (!changed.is_present() || (old.is_writable() && !changed.is_writable()) ||
                                             (old.is_executable() && !changed.is_executable()));
            if (less) batch.stale(base + i * kPageSize);
        }
    });
}

Result<void> State::move_entries(UserRange source, UserAddr destination, FlushBatch& batch) {
    // All tables first, so that nothing can fail half way.
    Errno error{};
    bool failed = false;
    tables.for_each_leaf(source, [&](PageTable&, UserAddr base, unsigned first, unsigned end) {
        for (unsigned i : {first, end - 1}) {
            auto leaf = tables.make_leaf(destination + (base + i * kPageSize - source.start));
            if (!leaf) {
                failed = true;
                error = leaf.error();
                return;
            }
        }
    });
    if (failed) return fail(error);
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
        tables.drop_if_empty(base, batch);
    });
    return {};
}

}  // namespace mm
