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

// Shares or copies what the page tables of one VMA after the other hold, in ascending order.
class TableCopier {
  public:
    TableCopier(State& parent, State& child, FlushBatch& parent_flush)
        : parent_(parent), child_(child), parent_flush_(parent_flush) {}

    // `vma` is the parent's; the child has it too. ENOMEM.
    Result<void> inherit(Vma& vma) {
        return parent_.tables.for_each_middle(
            vma.range, [&](PageTable& middle, UserAddr base, unsigned first, unsigned end) -> Result<void> {
                PageTable* target = nullptr;
                for (unsigned i = first; i < end; i++) {
                    PageEntry entry = middle.get(i);
                    UserAddr start = base + i * kLeafSpan;
                    if (!entry.is_present() || start < shared_until_) continue;
                    UserRange span{start, start + kLeafSpan};
                    const PageTable& leaf = *PageTables::table_of(entry);
                    if (!pays_to_share(leaf) || !is_inherited(vma, span)) {
                        // Of VMAs without pages of their own, faults bring back what the child needs.
                        if (vma.has_own_pages) TRY(copy_leaf(vma, span));
                        continue;
                    }
                    if (!target) target = TRY(child_.tables.make_middle(start));
                    share_leaf(middle, *target, i, span);
                    shared_until_ = span.end;
                }
                return {};
            });
    }

  private:
    static constexpr uint64_t kLeafSpan = arch::entry_span(2);
    // From this many private pages on a table is shared: with fewer, copying their entries now costs less than
    // copying the whole table at the first write (docs/benchmarks.md).
    static constexpr uint64_t kPagesToShare = 64;

    static bool pays_to_share(const PageTable& leaf) {
        return TableUse(leaf).anonymous >= kPagesToShare || PageTables::is_shared(leaf);
    }

    // The child has all VMAs of `span`, with all their pages. `vma` is one of them.
    bool is_inherited(Vma& vma, UserRange span) {
        for (Vma* before = &vma; before && before->range.end > span.start; before = parent_.previous(*before)) {
            if (before->dont_fork || before->wipe_on_fork) return false;
            if (before->range.start <= span.start) break;
        }
        for (Vma* after = &vma; after && after->range.start < span.end; after = parent_.next(*after)) {
            if (after->dont_fork || after->wipe_on_fork) return false;
            if (after->range.end >= span.end) break;
        }
        return true;
    }

    // Both sides get an entry that forbids to write; the leaf table keeps its own permissions.
    void share_leaf(PageTable& from, PageTable& to, unsigned index, UserRange span) {
        PageEntry entry = from.get(index);
        if (entry.is_writable()) {
            entry = entry.without(PageEntry::kWrite | PageEntry::kDirty);
            from.set(index, entry);
            parent_flush_.stale(span);
        }
        ref_frame(PageTables::table_frame_of(entry));
        PageTables::set_middle(to, index, entry);
    }

    // A leaf table that the child does not inherit as a whole: the entries of one VMA with pages of its
    // own. All of them: those of a file could be faulted in again, but that costs more.
    Result<void> copy_leaf(const Vma& vma, UserRange span) {
        UserRange part{std::max(vma.range.start, span.start), std::min(vma.range.end, span.end)};
        PageTable& from = *TRY(parent_.tables.own_leaf(part.start, parent_flush_));
        PageTable& to = *TRY(child_.tables.own_leaf(part.start, parent_flush_));
        unsigned first = arch::table_index(part.start.value(), arch::kLeafLevel);
        unsigned end = first + static_cast<unsigned>(part.size() >> core::kPageShift);
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
                parent_flush_.stale(span.start + i * kPageSize);
            }
            ref_frame(entry.frame());
            to.set(i, entry);
            used |= TableUse::group_of(i);
            added += TableUse::weight(entry);
        }
        TableUse::add(to, used, added);
        return {};
    }

    State &parent_, &child_;
    FlushBatch& parent_flush_;
    UserAddr shared_until_{};  // the leaf tables below are done
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
    FlushBatch parent_flush(from.loaded_on);
    TableCopier tables(from, to, parent_flush);
    for (Vma& vma : from.vmas) {
        if (vma.dont_fork) {
            to.gap_hint = to.mmap_top;
            continue;
        }
        TRY(copy_vma(to, vma));
        if (!vma.wipe_on_fork) TRY(tables.inherit(vma));
    }
    parent_flush.run();
    child_guard.unlock();
    parent_guard.release();
    if (to.maps_text && child->model() != Model::kIsolated) child->show_plain_files();
    return child;
}

}  // namespace mm
