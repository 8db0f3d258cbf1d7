// madvise(2), msync(2), mincore(2).
#include <algorithm>

#include "arch/x86_64/user_copy.h"
#include "mm/address_space_state.h"

namespace mm {

using State = AddressSpace::State;

namespace {

// include/uapi/asm-generic/mman-common.h
enum Advice : int {
    kNormal = 0, kRandom = 1, kSequential = 2, kWillNeed = 3, kDontNeed = 4, kFree = 8, kRemove = 9, kDontFork = 10,
    kDoFork = 11, kHugePage = 14, kNoHugePage = 15, kDontDump = 16, kDoDump = 17, kWipeOnFork = 18,
    kKeepOnFork = 19, kCold = 20, kPageOut = 21, kPopulateRead = 22, kPopulateWrite = 23,
};

bool is_known(int advice) {
    return (advice >= kNormal && advice <= kDontNeed) || (advice >= kFree && advice <= kDoFork) ||
           (advice >= kHugePage && advice <= kPopulateWrite);
}

// Sets an attribute of a VMA's part.
template <typename T>
Result<void> mark(State& state, UserRange part, T Vma::*attribute, T value) {
    Vma* vma = state.containing(part.start);
    if (vma->*attribute == value) return {};
    TRY(state.split_at(part.start));
    TRY(state.split_at(part.end));
    state.containing(part.start)->*attribute = value;
    return {};
}

Result<void> advise_part(State& state, Vma& vma, UserRange part, int advice) {
    switch (advice) {
        case kFree:
            // "The kernel can ... free these pages" at once; they then read as zero.
            if (vma.object) return fail(Errno::kInval);
            [[fallthrough]];
        case kDontNeed: {
            if (vma.locked) return fail(Errno::kInval);
            // Lack of kernel memory is EAGAIN here (madvise(2)).
            if (!state.prepare_zap(part)) return fail(Errno::kAgain);
            FlushBatch batch(state.tlb);
            state.zap(part, batch);
            return {};
        }
        case kCold:
        case kPageOut:
            return vma.locked ? fail(Errno::kInval) : Result<void>();
        case kDontFork: return mark(state, part, &Vma::dont_fork, true);
        case kDoFork: return mark(state, part, &Vma::dont_fork, false);
        case kDontDump: return mark(state, part, &Vma::dont_dump, true);
        case kDoDump: return mark(state, part, &Vma::dont_dump, false);
        case kWipeOnFork:
            // Only private anonymous memory.
            if (vma.object) return fail(Errno::kInval);
            return mark(state, part, &Vma::wipe_on_fork, true);
        case kKeepOnFork: return mark(state, part, &Vma::wipe_on_fork, false);
        case kHugePage: return mark(state, part, &Vma::huge_pages, HugePages::kWanted);
        case kNoHugePage: return mark(state, part, &Vma::huge_pages, HugePages::kUnwanted);
        default: return {};  // hints about reading ahead change nothing that a program sees
    }
}

}  // namespace

void AddressSpace::disable_huge_pages(bool disabled) {
    SpaceGuard guard(*state_);
    state_->no_huge_pages = disabled;
}

bool AddressSpace::huge_pages_disabled() {
    SpaceGuard guard(*state_);
    return state_->no_huge_pages;
}

Result<void> AddressSpace::advise(UserRange range, int advice) {
    if (!is_known(advice) || range.start.page_offset() != 0) return fail(Errno::kInval);
    UserRange pages{range.start, range.end.page_up()};
    if (pages.end < pages.start || range.end < range.start) return fail(Errno::kInval);
    if (pages.empty()) return {};
    if (advice == kPopulateRead || advice == kPopulateWrite) return populate_checked(pages, advice == kPopulateWrite);
    if (advice == kRemove) return remove_from_files(pages);

    // "Some addresses are not mapped": the others are advised all the same.
    SpaceGuard guard(*state_);
    bool hole = false;
    UserAddr address = pages.start;
    Result<void> result;
    while (address < pages.end) {
        Vma* vma = state_->find(address);
        if (!vma || vma->range.start >= pages.end) {
            hole = true;
            break;
        }
        if (vma->range.start > address) {
            hole = true;
            address = vma->range.start;
        }
        UserRange part{address, std::min(vma->range.end, pages.end)};
        address = part.end;
        result = advise_part(*state_, *vma, part, advice);
        if (!result) break;
    }
    state_->merge_around(pages);
    if (result && hole) return fail(Errno::kNoMem);
    return result;
}

// MADV_POPULATE_READ and _WRITE: as faults, but with an errno. ENOMEM holes, EFAULT no access, EHWPOISON never.
Result<void> AddressSpace::populate_checked(UserRange pages, bool write) {
    UserAddr address = pages.start;
    while (address < pages.end) {
        State::Replacement replacement;
        {
            SpaceGuard guard(*state_);
            while (address < pages.end) {
                Vma* vma = state_->containing(address);
                if (!vma) return fail(Errno::kNoMem);
                if (write && !vma->protection.write) return fail(Errno::kInval);
                if (!write && !vma->accessible()) return fail(Errno::kInval);
                auto result = state_->fault_in_vma(*vma, address, write ? AccessKind::kWrite : AccessKind::kRead,
                                                   replacement);
                if (replacement.object) break;
                if (!result) {
                    return fail(result.error() == FaultError::kOutOfMemory ? Errno::kNoMem : Errno::kFault);
                }
                address += kPageSize;
            }
        }
        if (replacement.object && !State::replace(replacement)) return fail(Errno::kNoMem);
    }
    return {};
}

// MADV_REMOVE: punches holes into shared writable files.
Result<void> AddressSpace::remove_from_files(UserRange pages) {
    UserAddr address = pages.start;
    while (address < pages.end) {
        core::Ref<Mappable> object;
        uint64_t first, end;
        {
            SpaceGuard guard(*state_);
            Vma* vma = state_->containing(address);
            if (!vma) return fail(Errno::kNoMem);
            if (vma->locked || !vma->object) return fail(Errno::kInval);
            if (!vma->is_shared() || !vma->max_protection.write) return fail(Errno::kAcces);
            UserAddr part_end = std::min(vma->range.end, pages.end);
            object = vma->object;
            first = vma->index_of(address);
            end = first + ((part_end - address) >> core::kPageShift);
            address = part_end;
        }
        object->page_cache().remove(first, end);
    }
    return {};
}

Result<void> AddressSpace::sync(UserRange range, int flags) {
    constexpr int kAsync = 1, kInvalidate = 2, kSync = 4;
    if (flags & ~(kAsync | kInvalidate | kSync)) return fail(Errno::kInval);
    if (range.start.page_offset() != 0) return fail(Errno::kInval);
    if ((flags & kAsync) && (flags & kSync)) return fail(Errno::kInval);
    UserRange pages{range.start, range.end.page_up()};
    if (pages.end < pages.start || range.end < range.start) return fail(Errno::kNoMem);
    // Files live in memory: there is nothing to write back.
    SpaceGuard guard(*state_);
    for (UserAddr address = pages.start; address < pages.end;) {
        Vma* vma = state_->containing(address);
        if (!vma) return fail(Errno::kNoMem);
        if ((flags & kInvalidate) && vma->locked) return fail(Errno::kBusy);
        address = vma->range.end;
    }
    return {};
}

Result<void> AddressSpace::mincore(UserRange range, UserOut<uint8_t> residency) {
    if (range.start.page_offset() != 0) return fail(Errno::kInval);
    UserRange pages{range.start, range.end.page_up()};
    if (range.end < range.start || pages.end < pages.start || pages.end.value() > core::kUserEnd) {
        return fail(Errno::kNoMem);
    }
    uint8_t chunk[256];
    for (UserAddr address = pages.start; address < pages.end;) {
        uint64_t count = std::min<uint64_t>(sizeof(chunk), (pages.end - address) >> core::kPageShift);
        {
            SpaceGuard guard(*state_);
            for (uint64_t i = 0; i < count; i++) {
                UserAddr page = address + i * kPageSize;
                Vma* vma = state_->containing(page);
                if (!vma) return fail(Errno::kNoMem);
                bool present = state_->tables.entry(page).has_frame();
                if (!present && vma->object) {
                    if (auto cached = vma->object->page_cache().find(vma->index_of(page))) {
                        unref_frame(*cached);
                        present = true;
                    }
                }
                chunk[i] = present ? 1 : 0;
            }
        }
        TRY(arch::copy_out(residency.address(), chunk, count));
        residency = residency + count;
        address += count * kPageSize;
    }
    return {};
}

}  // namespace mm
