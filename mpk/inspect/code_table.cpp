#include "mpk/inspect/code_table.h"

#include <algorithm>
#include <cstring>

namespace mpk::inspect {

namespace {

CodeTable the_boot_table;

// [first, first + count) lies in a part of `size` elements.
bool inside(uint64_t first, uint64_t count, uint64_t size) { return first <= size && count <= size - first; }

}  // namespace

uint64_t table_checksum(std::span<const uint64_t> words) {
    uint64_t sum = 0xcbf2'9ce4'8422'2325;
    for (uint64_t word : words) {
        sum = (sum ^ word) * 0x0000'0100'0000'01b3;
        sum ^= sum >> 32;
    }
    return sum;
}

std::optional<CodeTable> CodeTable::open(std::span<const std::byte> bytes, const char** problem) {
    auto refuse = [&](const char* what) {
        if (problem) *problem = what;
        return std::nullopt;
    };
    if (bytes.size() < sizeof(TableFooter)) return refuse(nullptr);
    TableFooter footer;
    std::memcpy(&footer, bytes.data() + bytes.size() - sizeof footer, sizeof footer);
    if (footer.magic != kTableMagic) return refuse(nullptr);
    if (footer.version != kTableVersion) return refuse("of another version");
    if (reinterpret_cast<uintptr_t>(bytes.data()) % 8 || bytes.size() % 8) return refuse("not aligned");
    // Counts have 32 bits, so these sums have no overflow.
    const uint64_t ranges_at = uint64_t{footer.entries} * sizeof(TableEntry);
    const uint64_t sites_at = ranges_at + uint64_t{footer.ranges} * sizeof(PageRange);
    const uint64_t text_at = sites_at + uint64_t{footer.sites} * sizeof(Site);
    const uint64_t footer_at = text_at + footer.text_bytes;
    if (footer.table_bytes != bytes.size() || footer_at + sizeof footer != bytes.size() || footer.text_bytes % 8)
        return refuse("of the wrong size");
    if (table_checksum({reinterpret_cast<const uint64_t*>(bytes.data()), footer_at / 8}) != footer.checksum)
        return refuse("damaged (checksum)");
    CodeTable table;
    table.entries_ = {reinterpret_cast<const TableEntry*>(bytes.data()), footer.entries};
    table.ranges_ = {reinterpret_cast<const PageRange*>(bytes.data() + ranges_at), footer.ranges};
    table.sites_ = {reinterpret_cast<const Site*>(bytes.data() + sites_at), footer.sites};
    table.text_ = {reinterpret_cast<const char*>(bytes.data() + text_at), footer.text_bytes};
    return table;
}

std::optional<CodeMap> CodeTable::find(uint64_t inode, uint64_t file_size) const {
    auto entry = std::ranges::lower_bound(entries_, inode, {}, &TableEntry::inode);
    if (entry == entries_.end() || entry->inode != inode || entry->file_size != file_size) return std::nullopt;
    if (!inside(entry->first_range, entry->range_count, ranges_.size()) ||
        !inside(entry->first_site, entry->site_count, sites_.size()) ||
        !inside(entry->reason_offset, entry->reason_length, text_.size()))
        return std::nullopt;
    CodeMap map;
    map.verdict = entry->verdict;
    map.reason = {text_.data() + entry->reason_offset, entry->reason_length};
    map.pages = ranges_.subspan(entry->first_range, entry->range_count);
    map.sites = sites_.subspan(entry->first_site, entry->site_count);
    map.residuals = entry->residuals;
    return map;
}

const CodeTable& boot_code_table() { return the_boot_table; }
void set_boot_code_table(const CodeTable& table) { the_boot_table = table; }

}  // namespace mpk::inspect
