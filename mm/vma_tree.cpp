// The VMAs of a space as an ordered set: look-up, splitting, joining, free places.
#include <algorithm>

#include "mm/address_space_state.h"

namespace mm {

using State = AddressSpace::State;

namespace {
// Where a new mapping below `above` must end.
UserAddr ceiling_below(const Vma& above) {
    uint64_t start = above.range.start.value();
    if (above.grows_down) start = start > kStackGuardGap ? start - kStackGuardGap : 0;
    return UserAddr(start);
}
}  // namespace

Vma* State::find(UserAddr address) {
    if (last_found && last_found->range.contains(address)) return last_found;
    auto above = vmas.upper_bound(address, Vma::Order());  // the first that starts after `address`
    if (above != vmas.begin()) {
        Vma& below = *std::prev(above);
        if (below.range.end > address) return last_found = &below;
    }
    return above == vmas.end() ? nullptr : &*above;
}

Vma* State::next(Vma& vma) {
    auto it = std::next(vmas.iterator_to(vma));
    return it == vmas.end() ? nullptr : &*it;
}

Vma* State::previous(Vma& vma) {
    auto it = vmas.iterator_to(vma);
    return it == vmas.begin() ? nullptr : &*std::prev(it);
}

void State::account(const Vma& vma, int sign) {
    uint64_t pages = sign > 0 ? vma.pages() : uint64_t{0} - vma.pages();
    mapped += pages;
    if (vma.locked) locked += pages;
    if (vma.is_data()) data += pages;
    if (vma.grows_down) stack += pages;
    if (vma.object && vma.protection.execute && !vma.protection.write) text += pages;
}

void State::insert(Vma& vma) {
    // fork makes a space in ascending order.
    if (!vmas.empty() && std::prev(vmas.end())->range.start < vma.range.start) vmas.push_back(vma);
    else vmas.insert(vma);
    entered(vma);
    account(vma, +1);
}

void State::entered(Vma& vma) {
    vma.space = this;
    vma_count++;
    if (vma.object) vma.object->page_cache().add_mapping(vma);
}

// Guard gaps of stacks move with them: look again from just above what became free.
void State::freed(UserAddr end) {
    UserAddr top = std::min(mmap_top, end);
    if (gap_hint < top) gap_hint = top;
}

void State::take_out(Vma& vma) {
    if (last_found == &vma) last_found = nullptr;
    if (vma.object) vma.object->page_cache().remove_mapping(vma);
    vmas.erase(vmas.iterator_to(vma));
    vma_count--;
    dead.push_back(vma);
}

void State::remove(Vma& vma) {
    account(vma, -1);
    take_out(vma);
    freed(vma.range.end);
}

Result<Vma*> State::split(Vma& vma, UserAddr address) {
    if (vma_count >= kMaxVmas) return fail(Errno::kNoMem);
    Vma* upper = new (std::nothrow) Vma;
    if (!upper) return fail(Errno::kNoMem);
    upper->copy_attributes(vma);
    upper->range = {address, vma.range.end};
    upper->first_index = vma.index_of(address);
    vma.range.end = address;
    vmas.insert_before(std::next(vmas.iterator_to(vma)), *upper);
    entered(*upper);
    return upper;
}

Result<void> State::split_at(UserAddr address) {
    Vma* vma = containing(address);
    if (vma && vma->range.start != address) TRY(split(*vma, address));
    return {};
}

void State::merge_around(UserRange range) {
    Vma* vma = find(range.start);
    if (!vma) return;
    if (Vma* before = previous(*vma)) vma = before;
    while (Vma* after = next(*vma)) {
        if (vma->range.end > range.end) return;
        if (!vma->joins(*after)) {
            vma = after;
            continue;
        }
        vma->range.end = after->range.end;
        vma->has_own_pages |= after->has_own_pages;
        take_out(*after);
    }
}

bool State::is_free(UserRange range) {
    Vma* vma = find(range.start);
    if (vma) {
        uint64_t gap = vma->grows_down ? kStackGuardGap : 0;
        if (vma->range.start < range.end || vma->range.start - range.end < gap) return false;
    }
    return true;
}

Result<UserAddr> State::find_gap(uint64_t size) {
    // Top down. `ceiling` is the end of the candidate gap.
    UserAddr ceiling = gap_hint;
    bool hint_holds = true;  // no free page seen so far
    auto it = vmas.lower_bound(ceiling, Vma::Order());
    if (it != vmas.end()) ceiling = std::min(ceiling, ceiling_below(*it));
    for (;;) {
        UserAddr floor = it == vmas.begin() ? UserAddr(core::kUserMmapMin) : std::prev(it)->range.end;
        if (ceiling > floor) {
            if (ceiling - floor >= size) {
                if (hint_holds) gap_hint = ceiling - size;
                return ceiling - size;
            }
            hint_holds = false;
        }
        if (it == vmas.begin()) break;
        --it;
        if (it->grows_down) hint_holds = false;
        ceiling = std::min(ceiling, ceiling_below(*it));
        if (hint_holds) gap_hint = std::min(gap_hint, ceiling);
    }
    return find_gap_between(size, {mmap_top, UserAddr(core::kUserEnd)});
}

Result<UserAddr> State::find_gap_between(uint64_t size, UserRange limits) {
    UserAddr floor = limits.start;
    for (auto above = vmas.upper_bound(floor, Vma::Order());; ++above) {
        if (above != vmas.begin()) floor = std::max(floor, std::prev(above)->range.end);
        UserAddr end = above == vmas.end() ? limits.end : std::min(limits.end, ceiling_below(*above));
        if (end > floor && end - floor >= size) return floor;
        if (above == vmas.end() || above->range.start >= limits.end) return fail(Errno::kNoMem);
    }
}

bool State::is_mapped(UserRange range) {
    UserAddr reached = range.start;
    for (Vma* vma = containing(range.start); vma && vma->range.start <= reached; vma = next(*vma)) {
        reached = vma->range.end;
        if (reached >= range.end) return true;
    }
    return range.empty();
}

bool State::extend_with(const Vma& fresh) {
    Vma* above = find(fresh.range.start);
    Vma* below = above ? previous(*above) : vmas.empty() ? nullptr : &*std::prev(vmas.end());
    if (below && below->joins(fresh)) {
        account(*below, -1);
        below->range.end = fresh.range.end;
        account(*below, +1);
        if (above && below->joins(*above)) merge_around(fresh.range);
        return true;
    }
    if (!above || !fresh.joins(*above)) return false;
    account(*above, -1);
    above->range.start = fresh.range.start;
    above->first_index = fresh.first_index;
    account(*above, +1);
    return true;
}

void State::trim(Vma& vma, UserRange rest) {
    FlushBatch batch(tlb);
    UserRange gone = rest.start == vma.range.start ? UserRange{rest.end, vma.range.end}
                                                   : UserRange{vma.range.start, rest.start};
    zap(gone, batch);
    account(vma, -1);
    vma.first_index = vma.index_of(rest.start);
    vma.range = rest;
    account(vma, +1);
    freed(gone.end);
}

Result<void> State::unmap_locked(UserRange range) {
    Vma* vma = find(range.start);
    if (!vma || vma->range.start >= range.end) return {};
    TRY(prepare_zap(range));
    // A piece of one VMA's end or start, the usual case of an allocator's mapping that had joined its neighbour.
    if (vma->range.start < range.start && vma->range.end == range.end) {
        trim(*vma, {vma->range.start, range.start});
        return {};
    }
    if (vma->range.start == range.start && vma->range.end > range.end) {
        trim(*vma, {range.end, vma->range.end});
        return {};
    }
    TRY(split_at(range.start));
    if (auto split = split_at(range.end); !split) {
        merge_around(range);
        return split;
    }
    FlushBatch batch(tlb);
    zap(range, batch);
    for (vma = find(range.start); vma && vma->range.start < range.end;) {
        Vma* after = next(*vma);
        remove(*vma);
        vma = after;
    }
    return {};
}

}  // namespace mm
