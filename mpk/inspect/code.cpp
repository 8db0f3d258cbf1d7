#include "mpk/inspect/code.h"

#include <algorithm>

#include "core/types.h"

namespace mpk::inspect {

Result<Code> Code::read(const Reader& file, const ElfImage& image) {
    core::Vector<PageRange> ranges;
    for (const Segment& segment : image.executable())
        TRY(ranges.push_back({core::align_down(segment.offset, core::kPageSize),
                              core::align_up(segment.end_offset(), core::kPageSize)}));
    std::ranges::sort(ranges, {}, &PageRange::offset);
    Code code;
    for (const PageRange& range : ranges) {
        if (!code.regions_.empty() && range.offset <= code.regions_.back().pages.end) {
            PageRange& last = code.regions_.back().pages;
            last.end = std::max(last.end, range.end);
            continue;
        }
        Region region;
        region.pages = range;
        TRY(code.regions_.push_back(std::move(region)));
    }
    for (Region& region : code.regions()) {
        const uint64_t size = std::min(region.pages.end, file.size()) - region.pages.offset;
        region.bytes = file.view(region.pages.offset, size);
        if (region.bytes.empty()) {
            TRY(region.storage.resize(size));
            TRY(file.read(region.pages.offset, {region.storage.data(), size}));
            region.bytes = region.storage;
        }
        TRY(region.boundaries.cover(region.pages.offset, region.pages.offset + size));
        TRY(region.targets.cover(region.pages.offset, region.pages.offset + size));
    }
    return code;
}

Region* Code::region_at(uint64_t offset) {
    for (Region& region : regions())
        if (region.contains(offset)) return &region;
    return nullptr;
}

std::span<const std::byte> Code::bytes_at(uint64_t offset, size_t size) const {
    const Region* region = region_at(offset);
    if (!region) return {};
    auto bytes = region->bytes.subspan(offset - region->pages.offset);
    return bytes.first(std::min(size, bytes.size()));
}

bool Code::decode_at(uint64_t offset, uint64_t limit, Instruction& instruction) const {
    if (offset >= limit) return false;
    return decode(bytes_at(offset, std::min<uint64_t>(kLongestInstruction, limit - offset)), instruction);
}

bool Code::is_boundary(uint64_t offset) const {
    const Region* region = region_at(offset);
    return region && region->boundaries.contains(offset);
}

}  // namespace mpk::inspect
