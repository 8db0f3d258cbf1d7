// fork(2)'s part of memory: the child gets the parent's VMAs, and shares its pages until one of them writes.
#include "mm/address_space_state.h"

namespace mm {

using State = AddressSpace::State;

namespace {

Result<Vma*> copy_vma(State& child, const Vma& parent) {
    auto vma = TRY(core::make<Vma>());
    vma->copy_attributes(parent);
    vma->range = parent.range;
    vma->locked = vma->lock_on_fault = false;  // mlock(2): locks are not inherited
    if (parent.wipe_on_fork) vma->has_own_pages = false;
    child.insert(*vma);
    return vma.release();
}

// One leaf table's entries of one private VMA: both sides read-only, one more reference a page. Entries of
// pages that can be faulted in from a file again are copied too: that is cheaper than the fault.
void share_pages(State& child, PageTable& from, PageTable& to, UserAddr base, unsigned first, unsigned end,
                 FlushBatch& parent_flush) {
    uint64_t copied = 0, anonymous = 0, file = 0;
    const Frame* zero = &frame_of(zero_frame());
    for (unsigned i = first; i < end; i++) {
        PageEntry entry = from.get(i);
        if (!entry.has_frame()) continue;
        if (entry.is_writable()) {
            entry = entry.without(PageEntry::kWrite | PageEntry::kDirty);
            from.set(i, entry);
            parent_flush.stale(base + i * kPageSize);
        }
        Frame& frame = frame_of(entry.frame());
        if (frame.state != Frame::State::kReserved) frame.references.fetch_add(1, std::memory_order_relaxed);
        if (frame.state == Frame::State::kAnonymous) anonymous++;
        else if (&frame != zero) file++;
        to.set(i, entry);
        copied++;
    }
    Frame& table = frame_of(Pfn(to_physical(&to)));
    table.index += copied;
    PageTables::note_use(table, first);
    child.anonymous_resident += anonymous;
    child.file_resident += file;
}

Result<void> share_vma(State& parent, State& child, const Vma& vma, FlushBatch& parent_flush) {
    Result<void> result;
    parent.tables.for_each_leaf(vma.range, [&](PageTable& leaf, UserAddr base, unsigned first, unsigned end) {
        if (!result) return;
        auto made = child.tables.make_leaf(base + first * kPageSize);
        if (!made) result = fail(made.error());
        else share_pages(child, leaf, **made, base, first, end, parent_flush);
    });
    return result;
}

void copy_layout(const State& parent, State& child) {
    child.mmap_top = parent.mmap_top;
    child.gap_hint = parent.gap_hint;
    child.stack_top = parent.stack_top;
    child.stack_limit = parent.stack_limit;
    child.break_start = parent.break_start;
    child.break_now = parent.break_now;
    child.fallback = parent.fallback;
    child.isolation_reason = parent.isolation_reason;
    child.maps_text = parent.maps_text;
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
    for (const Vma& vma : from.vmas) {
        if (vma.dont_fork) {
            to.gap_hint = to.mmap_top;
            continue;
        }
        Vma* copy = TRY(copy_vma(to, vma));
        if (copy->has_own_pages) TRY(share_vma(from, to, vma, parent_flush));
    }
    parent_flush.run();
    child_guard.unlock();
    parent_guard.release();
    if (to.maps_text && child->model() != Model::kIsolated) child->show_plain_files();
    return child;
}

}  // namespace mm
