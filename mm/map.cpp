// mmap(2), munmap(2), brk(2), and where things go.
#include <algorithm>

#include "mm/address_space_state.h"
#include "mm/shared_memory.h"

namespace mm {

using State = AddressSpace::State;

namespace {

// vm.overcommit_memory = 0: only what can never fit is refused (Linux's __vm_enough_memory()).
bool overcommits(uint64_t size) { return (size >> core::kPageShift) > total_pages(); }

// Where a new mapping goes; for kFixed the range may be in use.
Result<UserAddr> place(State& state, const MapRequest& request, uint64_t size) {
    UserAddr address = request.address;
    if (request.placement == Placement::kHint) {
        if (!address.is_null()) {
            address = std::max(address.page_down(), UserAddr(core::kUserMmapMin));
            bool fits = address.value() <= core::kUserEnd - size;
            if (fits && state.is_free({address, address + size})) return address;
        }
        return request.low ? state.find_gap_between(size, {UserAddr(0x4000'0000), UserAddr(0x8000'0000)})
                           : state.find_gap(size);
    }
    if (address.page_offset() != 0) return fail(Errno::kInval);
    if (address.value() > core::kUserEnd - size) return fail(Errno::kNoMem);
    if (address < UserAddr(core::kUserMmapMin)) return fail(Errno::kPerm);
    if (request.placement == Placement::kFixedNoReplace) {
        Vma* vma = state.find(address);
        if (vma && vma->range.start < address + size) return fail(Errno::kExist);
    }
    return address;
}

}  // namespace

Result<UserAddr> AddressSpace::map(const MapRequest& request) {
    uint64_t size = core::align_up(request.size, kPageSize);
    if (request.size == 0 || request.offset % kPageSize != 0) return fail(Errno::kInval);
    if (size == 0 || size > core::kUserEnd) return fail(Errno::kNoMem);
    if (request.offset + size < request.offset) return fail(Errno::kOverflow);
    bool is_private_writable = request.sharing == Sharing::kPrivate && request.protection.write;
    bool is_anonymous_shared = request.sharing == Sharing::kShared && !request.object;
    if ((is_private_writable || is_anonymous_shared) && !request.no_reserve && overcommits(size)) {
        return fail(Errno::kNoMem);
    }

    auto made = TRY(core::make<Vma>());  // before anything changes: nothing may fail once an old mapping is gone
    Vma& fresh = *made;
    fresh.protection = request.protection;
    fresh.max_protection = request.max_protection;
    fresh.sharing = request.sharing;
    fresh.grows_down = request.grows_down;
    fresh.no_reserve = request.no_reserve;
    fresh.key = static_cast<uint8_t>(request.key);
    fresh.label = request.label;
    fresh.object = request.object;
    fresh.first_index = request.offset >> core::kPageShift;
    if (is_anonymous_shared) {
        fresh.object = TRY(create_shared_memory(size));
        fresh.first_index = 0;
    }
    if (request.protection.execute && !request.kernel_code) {
        fresh.object = TRY(text_of(fresh.object, request.sharing, request.protection, fresh.first_index,
                                   fresh.first_index + (size >> core::kPageShift)));
    }

    bool fill = request.populate;
    UserRange range;
    {
        SpaceGuard guard(*state_);
        State& state = *state_;
        if (fresh.object != request.object.get() && fresh.object->plain_form()) {
            if (model() == Model::kIsolated) state.maps_text = true;
            else fresh.object = request.object;  // another thread made the space confined
        }
        if (state.vma_count >= kMaxVmas) return fail(Errno::kNoMem);
        UserAddr address = TRY(place(state, request, size));
        fresh.range = {address, address + size};
        fresh.locked = request.locked || state.lock_future;
        fresh.lock_on_fault = fresh.locked && !request.locked && state.lock_future_on_fault;
        fill |= fresh.locked && !fresh.lock_on_fault;
        range = fresh.range;
        if (request.placement == Placement::kFixed) TRY(state.unmap_locked(range));
        if (!state.extend_with(fresh)) state.insert(*made.release());
    }
    if (fill) populate(range);
    return range.start;
}

Result<void> AddressSpace::unmap(UserRange range) {
    if (range.start.page_offset() != 0 || range.start.value() > core::kUserEnd ||
        range.end < range.start || range.end.value() > core::kUserEnd) {
        return fail(Errno::kInval);
    }
    range.end = range.end.page_up();
    if (range.empty()) return fail(Errno::kInval);
    SpaceGuard guard(*state_);
    return state_->unmap_locked(range);
}

Result<void> AddressSpace::detach_segment(UserAddr address) {
    if (address.page_offset() != 0) return fail(Errno::kInval);
    SpaceGuard guard(*state_);
    // Its first page may be unmapped already: the VMA that would have it at `address` tells (Linux's ksys_shmdt()).
    auto belongs = [&](const Vma& vma) {
        return vma.object && vma.object->is_system_v_segment() &&
               vma.range.start - (vma.first_index << core::kPageShift) == address;
    };
    Vma* vma = state_->find(address);
    while (vma && !belongs(*vma)) vma = state_->next(*vma);
    if (!vma) return fail(Errno::kInval);
    core::Ref<Mappable> segment = vma->object;
    UserAddr end = address + segment->mapped_size();
    while (vma && vma->range.start < end) {
        Vma* after = state_->next(*vma);
        if (belongs(*vma) && vma->object == segment) TRY(state_->unmap_locked(vma->range));
        vma = after;
    }
    guard.release();
    return {};
}

void AddressSpace::populate(UserRange range) {
    // A page that must be replaced in its file first ends a round; each one is replaced once.
    for (;;) {
        State::Replacement replacement;
        {
            SpaceGuard guard(*state_);
            state_->populate_locked(range, replacement);
        }
        if (!replacement.object || !State::replace(replacement)) return;
    }
}

void AddressSpace::set_layout(UserAddr mmap_top, UserAddr stack_top, uint64_t stack_limit) {
    SpaceGuard guard(*state_);
    state_->mmap_top = state_->gap_hint = std::min(mmap_top.page_down(), UserAddr(core::kUserEnd));
    state_->stack_top = stack_top;
    state_->stack_limit = stack_limit;
}

void AddressSpace::set_stack_limit(uint64_t bytes) {
    SpaceGuard guard(*state_);
    state_->stack_limit = bytes;
}

void AddressSpace::initialize_break(UserAddr start) {
    SpaceGuard guard(*state_);
    state_->break_start = state_->break_now = start;
}

UserAddr AddressSpace::break_start() {
    SpaceGuard guard(*state_);
    return state_->break_start;
}

UserAddr AddressSpace::set_break(UserAddr new_break) {
    UserRange grown;
    bool fill = false;
    {
        SpaceGuard guard(*state_);
        State& state = *state_;
        UserAddr old_break = state.break_now;
        if (new_break < state.break_start || new_break.value() > core::kUserEnd) return old_break;
        UserAddr old_end = old_break.page_up(), new_end = new_break.page_up();
        if (new_end < old_end) {
            if (!state.unmap_locked({new_end, old_end})) return old_break;
        } else if (new_end > old_end) {
            grown = {old_end, new_end};
            // The heap keeps a page between itself and what is above (Linux: old brk to new brk + PAGE_SIZE).
            if (overcommits(grown.size()) || !state.is_free({grown.start, grown.end + kPageSize})) return old_break;
            Vma* below = old_end > state.break_start.page_up() ? state.containing(old_end - 1) : nullptr;
            if (below && below->range.end == old_end && !below->object && below->label == "[heap]" &&
                below->locked == state.lock_future && below->key == 0 && below->huge_pages == HugePages::kUnadvised &&
                below->protection == Protection{true, true, false}) {
                state.account(*below, -1);
                below->range.end = new_end;
                state.account(*below, +1);
            } else {
                auto vma = core::make<Vma>();
                if (!vma || state.vma_count >= kMaxVmas) return old_break;
                (*vma)->range = grown;
                (*vma)->protection = {true, true, false};
                (*vma)->max_protection = {true, true, true};
                (*vma)->label = "[heap]";
                (*vma)->locked = state.lock_future;
                (*vma)->lock_on_fault = state.lock_future && state.lock_future_on_fault;
                state.insert(*vma->release());
            }
            fill = state.lock_future && !state.lock_future_on_fault;
        }
        state.break_now = new_break;
    }
    if (fill) populate(grown);
    return new_break;
}

}  // namespace mm
