// mremap(2): grow and shrink in place, or move the page-table entries to another place.
#include <algorithm>

#include "core/weakness.h"
#include "mm/address_space_state.h"

namespace mm {

using State = AddressSpace::State;

namespace {

constexpr unsigned kMayMove = 1, kFixed = 2, kDontUnmap = 4;

struct Move {
    UserRange old_range;
    uint64_t new_size;
    bool keep_old_vma;
};

// A place for `size` bytes, or the fixed one, cleared.
Result<UserAddr> destination_for(State& state, unsigned flags, UserAddr new_address, uint64_t size) {
    if (flags & kFixed) {
        TRY(state.unmap_locked({new_address, new_address + size}));
        return new_address;
    }
    // MREMAP_DONTUNMAP without MREMAP_FIXED takes the address as a hint.
    if ((flags & kDontUnmap) && !new_address.is_null()) {
        UserAddr hint = new_address.page_down();
        if (hint >= UserAddr(core::kUserMmapMin) && hint.value() <= core::kUserEnd - size &&
            state.is_free({hint, hint + size})) {
            return hint;
        }
    }
    return state.find_gap(size);
}

// Moves the mapping to `destination`, which is free. The new VMA has all attributes of the old one; entries go
// along. ENOMEM: nothing has moved.
Result<void> move(State& state, const Move& request, UserAddr destination) {
    auto copy = TRY(core::make<Vma>());
    if (state.vma_count >= kMaxVmas) return fail(Errno::kNoMem);
    // Old size 0 duplicates a shared mapping.
    UserRange old_range = request.old_range;
    Vma* source = state.containing(old_range.start);
    copy->copy_attributes(*source);
    copy->range = {destination, destination + request.new_size};
    copy->first_index = source->index_of(old_range.start);
    // Splits now, so that nothing after the move can fail.
    if (!old_range.empty() && !request.keep_old_vma) {
        TRY(state.split_at(old_range.start));
        TRY(state.split_at(old_range.end));
    }
    state.insert(*copy);
    Vma& moved = *copy.release();
    {
        FlushBatch batch(state.tlb);
        if (auto result = state.move_entries(old_range, destination, batch); !result) {
            state.remove(moved);
            state.merge_around(old_range);
            return result;
        }
    }
    if (!old_range.empty() && !request.keep_old_vma) (void)state.unmap_locked(old_range);
    state.merge_around(moved.range);
    return {};
}

}  // namespace

Result<UserAddr> AddressSpace::remap(UserRange old_range, uint64_t new_size, unsigned flags, UserAddr new_address) {
    if (flags & ~(kMayMove | kFixed | kDontUnmap)) return fail(Errno::kInval);
    if ((flags & (kFixed | kDontUnmap)) && !(flags & kMayMove)) return fail(Errno::kInval);
    UserAddr address = old_range.start;
    if (address.page_offset() != 0) return fail(Errno::kInval);
    uint64_t old_size = core::align_up(old_range.size(), kPageSize);
    new_size = core::align_up(new_size, kPageSize);
    if (new_size == 0) return fail(Errno::kInval);
    if ((flags & kDontUnmap) && old_size != new_size) return fail(Errno::kInval);
    if (new_size > core::kUserEnd) return fail((flags & kFixed) ? Errno::kInval : Errno::kNoMem);
    if (flags & kFixed) {
        if (new_address.page_offset() != 0 || new_address.value() > core::kUserEnd - new_size) {
            return fail(Errno::kInval);
        }
        if (UserRange{new_address, new_address + new_size}.overlaps({address, address + old_size})) {
            return fail(Errno::kInval);
        }
        if (new_address < UserAddr(core::kUserMmapMin)) return fail(Errno::kPerm);
    }

    // Text was inspected as far as the mapping reached.
    auto grows_text = [&](Vma* vma) {
        return model() == Model::kIsolated && vma && vma->protection.execute && new_size > old_size &&
               !core::weakened(core::Weakness::kInspection);
    };
    bool refused;
    {
        SpaceGuard guard(*state_);
        refused = grows_text(state_->containing(address));
    }
    if (refused) TRY(refuse_code(Reason("mremap beyond inspected code")));

    UserRange fill;
    UserAddr result = address;
    {
        SpaceGuard guard(*state_);
        State& state = *state_;
        Vma* vma = state.containing(address);
        if (!vma) return fail(Errno::kFault);
        if (grows_text(vma)) return fail(Errno::kAcces);  // mapped since
        if (old_size == 0 && !vma->is_shared()) return fail(Errno::kInval);
        if ((flags & kDontUnmap) && vma->locked) return fail(Errno::kInval);

        bool relocate = flags & (kFixed | kDontUnmap);
        if (!relocate && old_size >= new_size) {  // shrink; may span several VMAs
            if (old_size > new_size) TRY(state.unmap_locked({address + new_size, address + old_size}));
            return address;
        }
        if (old_size > vma->range.end - address) {
            // A shrinking move gives its tail back first, and then must lie in one VMA.
            if (!(flags & kFixed) || new_size >= old_size) return fail(Errno::kFault);
        }
        if ((flags & kFixed) && old_size > new_size) {
            TRY(state.unmap_locked({address + new_size, address + old_size}));
            old_size = new_size;
            vma = state.containing(address);
            if (!vma || old_size > vma->range.end - address) return fail(Errno::kFault);
        }
        uint64_t grown = new_size - old_size;
        if (vma->object && vma->index_of(address) + (new_size >> core::kPageShift) < vma->index_of(address)) {
            return fail(Errno::kInval);
        }
        if (vma->is_data() && !vma->no_reserve &&
            (grown >> core::kPageShift) > total_pages()) {
            return fail(Errno::kNoMem);
        }
        bool locked = vma->locked && !vma->lock_on_fault;
        UserAddr old_end = address + old_size;
        if (!relocate && old_size != 0 && old_end == vma->range.end && new_size <= core::kUserEnd - address.value() &&
            state.is_free({old_end, address + new_size})) {
            state.account(*vma, -1);
            vma->range.end = address + new_size;
            state.account(*vma, +1);
            state.merge_around({address, address + new_size});
        } else {
            if (!(flags & kMayMove)) return fail(Errno::kNoMem);
            result = TRY(destination_for(state, flags, new_address, new_size));
            TRY(move(state, {{address, old_end}, new_size, (flags & kDontUnmap) != 0}, result));
        }
        if (locked && grown > 0) fill = {result + old_size, result + new_size};
    }
    if (!fill.empty()) populate(fill);
    return result;
}

}  // namespace mm
