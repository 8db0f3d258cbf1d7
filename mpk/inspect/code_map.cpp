#include "mpk/inspect/code_map.h"

#include <algorithm>

#include "core/types.h"

namespace mpk::inspect {

namespace {
// Not &Site::offset, which would be called through a pointer: find() is on the way of each trap.
constexpr auto kOffset = [](const Site& site) { return site.offset(); };
}  // namespace

bool CodeMap::covers(uint64_t offset, uint64_t size) const {
    if (size == 0 || offset > kLongestFile || size > kLongestFile) return false;
    uint64_t begin = core::align_down(offset, core::kPageSize), end = core::align_up(offset + size, core::kPageSize);
    // The last range that does not begin behind `begin`: ranges are apart, so no two together cover a page.
    auto behind = std::ranges::upper_bound(pages, begin, {}, &PageRange::offset);
    return behind != pages.begin() && end <= behind[-1].end;
}

const Site* CodeMap::find(uint64_t offset) const {
    auto site = std::ranges::lower_bound(sites, offset, {}, kOffset);
    return site != sites.end() && site->offset() == offset ? &*site : nullptr;
}

std::span<const Site> CodeMap::overlapping(uint64_t offset, uint64_t size) const {
    uint64_t reach = offset < kLongestInstruction ? 0 : offset - kLongestInstruction + 1;
    auto first = std::ranges::lower_bound(sites, reach, {}, kOffset);
    auto last = std::ranges::lower_bound(first, sites.end(), offset + size, {}, kOffset);
    while (first != last && first->end() <= offset) ++first;
    return {first, last};
}

}  // namespace mpk::inspect
