// mprotect(2), mlock(2) and relatives: attributes of ranges.
#include <algorithm>

#include "core/weakness.h"
#include "mm/address_space_state.h"

namespace mm {

using State = AddressSpace::State;

namespace {

// Cuts each VMA of the range to its part within, checks it, changes it; joins equal neighbours at the end. Stops
// at the first error with a prefix done, as Linux does. ENOMEM for holes and for lack of memory.
template <typename Change>
Result<void> change_vmas(State& state, UserRange range, Change change) {
    UserAddr address = range.start;
    Result<void> result;
    while (address < range.end) {
        Vma* vma = state.containing(address);
        if (!vma) {
            result = fail(Errno::kNoMem);
            break;
        }
        UserRange part{address, std::min(vma->range.end, range.end)};
        result = change(*vma, part);
        if (!result) break;
        address = part.end;
    }
    state.merge_around(range);
    return result;
}

// The VMA of exactly `part`, split off from `vma`. ENOMEM.
Result<Vma*> isolate(State& state, Vma& vma, UserRange part) {
    Vma* isolated = &vma;
    if (vma.range.start < part.start) isolated = TRY(state.split(vma, part.start));
    if (part.end < isolated->range.end) TRY(state.split(*isolated, part.end));
    return isolated;
}

Result<UserRange> whole_pages(UserRange range) {
    UserRange pages{range.start.page_down(), range.end.page_up()};
    if (pages.end < pages.start || range.end < range.start) return fail(Errno::kInval);
    return pages;
}

}  // namespace

Result<void> AddressSpace::protect(UserRange range, Protection protection, Extend extend, int key) {
    if (range.start.page_offset() != 0) return fail(Errno::kInval);
    range.end = range.end.page_up();
    if (range.start == range.end) return {};
    if (range.end < range.start || range.end.value() > core::kUserEnd) return fail(Errno::kNoMem);
    if (key != kNoKey) {
        SpaceGuard guard(*state_);
        if (!state_->has_key(key)) return fail(Errno::kInval);
    }
    core::Vector<Text> texts;            // for VMAs that become executable
    core::Vector<core::Ref<Mappable>> dropped;  // what those mapped; goes after the lock
    if (protection.execute) TRY(check_code_protection(range, protection, texts));
    SpaceGuard guard(*state_);
    State& state = *state_;
    const bool isolated = model() == Model::kIsolated;
    if (extend == Extend::kToStart) {
        Vma* vma = state.find(range.start);
        if (!vma || vma->range.start >= range.end) return fail(Errno::kNoMem);
        if (!vma->grows_down) return fail(Errno::kInval);
        range.start = vma->range.start;
    }
    FlushBatch batch(state.tlb);
    return change_vmas(state, range, [&](Vma& found, UserRange part) -> Result<void> {
        const Protection& maximum = found.max_protection;
        if ((protection.read && !maximum.read) || (protection.write && !maximum.write) ||
            (protection.execute && !maximum.execute)) {
            return fail(Errno::kAcces);
        }
        auto new_key = static_cast<uint8_t>(state.key_after(found, protection, key));
        if (found.protection == protection && found.key == new_key) return {};
        if (protection.write && !found.protection.write && !found.is_shared() && !found.no_reserve &&
            (part.size() >> core::kPageShift) > total_pages()) {
            return fail(Errno::kNoMem);
        }
        core::Ref<Mappable> object;
        if (isolated) {
            object = TRY(object_after(found, part, protection, texts));
            if (object) TRY(dropped.reserve(dropped.size() + 1));
        }
        TRY(state.tables.own_leaves(part, batch, PageTables::LargePages::kKeepWhole));
        Vma& vma = *TRY(isolate(state, found, part));
        if (object) {
            state.maps_text = true;
            state.exchange_object(vma, object, batch);
            (void)dropped.push_back(std::move(object));
        }
        state.account(vma, -1);
        vma.protection = protection;
        vma.key = new_key;
        state.account(vma, +1);
        state.reprotect(vma, part, batch);
        return {};
    });
}

// What an isolated space's VMA is to map in place of what it maps now, when its protection changes; null: no change.
// EACCES: it was changed since check_code_protection().
Result<core::Ref<Mappable>> AddressSpace::object_after(const Vma& vma, UserRange part, Protection protection,
                                                       const core::Vector<Text>& texts) {
    if (vma.protection.execute == protection.execute) {
        bool both = protection.execute && protection.write;
        if (both && !core::weakened(core::Weakness::kWriteXorExecute)) return fail(Errno::kAcces);
        return core::Ref<Mappable>();
    }
    if (!protection.execute) return vma.object ? vma.object->plain_form() : nullptr;
    if (core::weakened(core::Weakness::kInspection)) return core::Ref<Mappable>();
    uint64_t first = vma.index_of(part.start), end = first + (part.size() >> core::kPageShift);
    for (const Text& text : texts) {
        bool covers = text.file == vma.object.get() && text.first <= first && end <= text.end;
        if (covers && vma.object && !vma.is_shared() && !state_->has_private_copies(part)) return text.object;
    }
    return fail(Errno::kAcces);
}

Result<void> AddressSpace::lock_memory(UserRange range, LockMode mode) {
    UserRange pages = TRY(whole_pages(range));
    if (pages.empty()) return {};
    {
        SpaceGuard guard(*state_);
        TRY(change_vmas(*state_, pages, [&](Vma& found, UserRange part) -> Result<void> {
            bool on_fault = mode == LockMode::kOnFault;
            if (found.locked && found.lock_on_fault == on_fault) return {};
            Vma& vma = *TRY(isolate(*state_, found, part));
            state_->account(vma, -1);
            vma.locked = true;
            vma.lock_on_fault = on_fault;
            state_->account(vma, +1);
            return {};
        }));
    }
    if (mode == LockMode::kNow) {
        populate(pages);
        // mlock(2), ENOMEM: PROT_NONE pages cannot be made present.
        SpaceGuard guard(*state_);
        for (Vma* vma = state_->find(pages.start); vma && vma->range.start < pages.end; vma = state_->next(*vma)) {
            if (!vma->accessible()) return fail(Errno::kNoMem);
        }
    }
    return {};
}

Result<void> AddressSpace::unlock_memory(UserRange range) {
    UserRange pages = TRY(whole_pages(range));
    SpaceGuard guard(*state_);
    return change_vmas(*state_, pages, [&](Vma& found, UserRange part) -> Result<void> {
        if (!found.locked) return {};
        Vma& vma = *TRY(isolate(*state_, found, part));
        state_->account(vma, -1);
        vma.locked = vma.lock_on_fault = false;
        state_->account(vma, +1);
        return {};
    });
}

Result<void> AddressSpace::lock_all(bool current, bool future, LockMode mode) {
    bool on_fault = mode == LockMode::kOnFault;
    {
        SpaceGuard guard(*state_);
        state_->lock_future = future;
        state_->lock_future_on_fault = future && on_fault;
        if (!current) return {};
        for (Vma& vma : state_->vmas) {
            state_->account(vma, -1);
            vma.locked = true;
            vma.lock_on_fault = on_fault;
            state_->account(vma, +1);
        }
        state_->merge_around({UserAddr(0), UserAddr(core::kUserEnd)});
    }
    if (!on_fault) populate({UserAddr(0), UserAddr(core::kUserEnd)});
    return {};
}

void AddressSpace::unlock_all() {
    SpaceGuard guard(*state_);
    state_->lock_future = state_->lock_future_on_fault = false;
    for (Vma& vma : state_->vmas) {
        state_->account(vma, -1);
        vma.locked = vma.lock_on_fault = false;
        state_->account(vma, +1);
    }
    state_->merge_around({UserAddr(0), UserAddr(core::kUserEnd)});
}

}  // namespace mm
