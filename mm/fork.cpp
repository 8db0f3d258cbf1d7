// fork(2)'s part of memory: the child gets the parent's VMAs and shares its leaf tables, and with them its pages,
// until one of them writes (docs/architecture.md, "Shared leaf tables").
#include <algorithm>

#include "mm/address_space_state.h"

namespace mm {

using State = AddressSpace::State;

namespace {

Result<void> copy_vma(State& child, const Vma& parent) {
    auto vma = TRY(core::make<Vma>());
    vma->copy_attributes(parent);
    vma->range = parent.range;
    vma->locked = vma->lock_on_fault = false;  // mlock(2): locks are not inherited
    if (parent.wipe_on_fork) vma->has_own_pages = false;
    child.insert(*vma);
    vma.release();
    return {};
}

// Shares or copies what the parent's page tables hold. The child has its VMAs already.
class TableCopier {
  public:
    // `all_inherited`: there is no VMA that the child lacks, or begins without pages.
    TableCopier(State& parent, State& child, bool all_inherited, FlushBatch& parent_flush)
        : parent_(parent), child_(child), all_inherited_(all_inherited), parent_flush_(parent_flush) {}

    // ENOMEM: the child's tables hold a part.
    Result<void> run() {
        return parent_.tables.for_each_middle([&](PageTable& middle, UserAddr base) { return inherit(middle, base); });
    }

  private:
    static constexpr uint64_t kLeafSpan = arch::entry_span(2);
    // From this many private pages on a table is shared: with fewer, copying their entries now costs less than
    // copying the whole table at the first write (docs/benchmarks.md).
    static constexpr uint64_t kPagesToShare = 64;
    // Up to so many pages of files are copied along with the private ones: a fault that brings back sixteen of them
    // costs as much as a hundred entries.
    static constexpr uint64_t kFilePagesToCopy = 128;

    // The leaf tables of one table of level 2.
    Result<void> inherit(PageTable& middle, UserAddr base) {
        PageTable* target = nullptr;
        uint64_t groups = 0, entries = 0;
        Result<void> result;
        TableUse::for_each(middle, [&](unsigned i, PageEntry entry) {
            const UserRange span{base + i * kLeafSpan, base + (i + 1) * kLeafSpan};
            Frame& record = frame_of(PageTables::table_frame_of(entry));
            const TableUse use(record.index);
            const bool is_shared = record.references.load(std::memory_order_acquire) > 1;
            // Faults bring back what the child needs of pages that are not private.
            if (!result || (use.anonymous == 0 && !is_shared)) return;
            if (!target) {
                auto made = child_.tables.make_middle(base);
                if (!made) return void(result = fail(made.error()));
                target = *made;
            }
            const bool whole = all_inherited_ || is_inherited(span);
            if (whole && (is_shared || use.anonymous >= kPagesToShare)) {
                // Both sides get an entry that forbids to write; the leaf table keeps its own permissions.
                if (entry.is_writable()) {
                    entry = entry.without(PageEntry::kWrite | PageEntry::kDirty);
                    middle.set(i, entry);
                    parent_flush_.stale(span);
                }
                record.references.fetch_add(1, std::memory_order_relaxed);
                target->set(i, entry);
            } else {
                auto copy = whole && use.file <= kFilePagesToCopy ? copy_leaf(entry, span) : copy_private_pages(span);
                if (!copy) return void(result = fail(copy.error()));
                if (copy->is_empty()) return;
                target->set(i, *copy);
            }
            groups |= TableUse::group_of(i);
            entries += TableUse::kEntry;
        });
        if (target) TableUse::add(*target, groups, entries);
        return result;
    }

    // The child has all VMAs of `span`, with all their pages.
    bool is_inherited(UserRange span) {
        for (Vma* vma = parent_.find(span.start); vma && vma->range.start < span.end; vma = parent_.next(*vma)) {
            if (vma->dont_fork || vma->wipe_on_fork) return false;
        }
        return true;
    }

    // A table with few private pages. Nobody else has it, so nobody else's permissions change.
    Result<PageEntry> copy_leaf(PageEntry entry, UserRange span) {
        Pfn fresh = TRY(allocate_table());
        PageTables::copy_entries(*to_pointer<PageTable>(entry.frame()), *to_pointer<PageTable>(fresh));
        parent_flush_.stale(span);
        return PageEntry::user_table(fresh);
    }

    // A table that the child does not inherit as a whole: the entries of VMAs that it gets and that have pages of their
    // own. Empty if there are none.
    Result<PageEntry> copy_private_pages(UserRange span) {
        PageTable& from = *TRY(parent_.tables.own_leaf(span.start, parent_flush_));
        Pfn fresh;
        for (Vma* vma = parent_.find(span.start); vma && vma->range.start < span.end; vma = parent_.next(*vma)) {
            if (!vma->has_own_pages || vma->dont_fork || vma->wipe_on_fork) continue;
            if (fresh == Pfn()) fresh = TRY(allocate_table());
            UserRange part{std::max(vma->range.start, span.start), std::min(vma->range.end, span.end)};
            copy_part(from, *to_pointer<PageTable>(fresh), part);
        }
        if (fresh == Pfn()) return PageEntry();
        parent_flush_.stale(span);
        if (TableUse(*to_pointer<PageTable>(fresh)).entries != 0) return PageEntry::user_table(fresh);
        PageTables::release(fresh);
        return PageEntry();
    }

    static void copy_part(PageTable& from, PageTable& to, UserRange part) {
        const unsigned first = arch::table_index(part.start.value(), arch::kLeafLevel);
        const unsigned end = first + static_cast<unsigned>(part.size() >> core::kPageShift);
        const uint64_t groups = TableUse(from).groups;
        uint64_t used = 0, added = 0;
        for (unsigned i = first; i < end; i++) {
            if (!(groups >> (i / TableUse::kGroupSize) & 1)) {
                i |= TableUse::kGroupSize - 1;
                continue;
            }
            PageEntry entry = from.get(i);
            if (entry.is_empty()) continue;
            if (entry.is_writable()) {
                entry = entry.without(PageEntry::kWrite | PageEntry::kDirty);
                from.set(i, entry);
            }
            ref_frame(entry.frame());
            to.set(i, entry);
            used |= TableUse::group_of(i);
            added += TableUse::weight(entry);
        }
        TableUse::add(to, used, added);
    }

    State &parent_, &child_;
    const bool all_inherited_;
    FlushBatch& parent_flush_;
};

void copy_layout(const State& parent, State& child) {
    child.mmap_top = parent.mmap_top;
    child.gap_hint = parent.gap_hint;
    child.stack_top = parent.stack_top;
    child.stack_limit = parent.stack_limit;
    child.used_keys = parent.used_keys;
    child.execute_only_key = parent.execute_only_key;
    child.break_start = parent.break_start;
    child.break_now = parent.break_now;
    child.fallback = parent.fallback;
    child.isolation_reason = parent.isolation_reason;
    child.maps_text = parent.maps_text;
    child.no_huge_pages = parent.no_huge_pages;
}

}  // namespace

Result<core::Ref<AddressSpace>> AddressSpace::fork() {
    core::Ref<AddressSpace> child = TRY(create(model()));  // on failure below, its destructor gives all back
    SpaceGuard parent_guard(*state_);
    // The child's lock, because its VMAs can be seen through the reverse maps of files from now on. Nobody else
    // takes two: the parent's comes first.
    core::SpinGuard child_guard(child->state_->lock, core::SpinGuard::Nested());
    State &from = *state_, &to = *child->state_;
    copy_layout(from, to);
    child->model_ = model();  // a thread may have made this space confined since
    bool all_inherited = true;
    for (Vma& vma : from.vmas) {
        if (vma.dont_fork || vma.wipe_on_fork) all_inherited = false;
        if (vma.dont_fork) to.gap_hint = to.mmap_top;
        else TRY(copy_vma(to, vma));
    }
    FlushBatch parent_flush(from.tlb);
    TRY(TableCopier(from, to, all_inherited, parent_flush).run());
    parent_flush.run();
    child_guard.unlock();
    parent_guard.release();
    if (to.maps_text && child->model() != Model::kIsolated) child->show_plain_files();
    return child;
}

}  // namespace mm
