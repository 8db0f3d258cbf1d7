#include "inspect/file_code.h"

#include <algorithm>
#include <cstring>
#include <fstream>

#include "mpk/inspect/code_table.h"
#include "mpk/inspect/inspect.h"
#include "support/failure.h"
#include "support/files.h"
#include "support/hash.h"

namespace tool {

namespace inspect = mpk::inspect;

namespace {

constexpr uint64_t kWord = 8;

std::span<const std::byte> bytes_of(std::string_view text) {
    return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

FileCode copy_of(const inspect::CodeMap& map) {
    return {.verdict = map.verdict,
            .reason = std::string(map.reason),
            .pages = {map.pages.begin(), map.pages.end()},
            .sites = {map.sites.begin(), map.sites.end()},
            .residuals = map.residuals};
}

template <typename T>
void append(std::string& to, const std::vector<T>& values) {
    to.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

/// From the cache, where each entry is a table of one file with inode number 0; else inspected, and kept there.
FileCode cached_code(std::string_view content, const fs::path& cache) {
    ContentHash hash;
    hash.add_number(inspect::kTableVersion);
    hash.add(content);
    const fs::path entry = cache / hash.hex();
    std::error_code error;
    if (fs::exists(entry, error)) {
        const std::string table = read_file(entry);
        auto opened = inspect::CodeTable::open(bytes_of(table));
        if (auto map = opened ? opened->find(0, content.size()) : std::nullopt) return copy_of(*map);
    }
    FileCode code = inspect_content(content);
    write_file(entry, code_table({{0, content.size(), code}}));
    return code;
}

}  // namespace

bool looks_like_elf(std::string_view content) { return content.starts_with("\177ELF"); }

FileCode inspect_content(std::string_view content) {
    auto inspection = inspect::inspect(inspect::MemoryReader(bytes_of(content)));
    if (!inspection) throw Failure("a file could not be inspected: not enough memory");
    return copy_of(inspection->map());
}

std::string code_table(std::vector<TableFile> files) {
    std::ranges::sort(files, {}, &TableFile::inode);
    std::vector<inspect::TableEntry> entries;
    std::vector<inspect::PageRange> ranges;
    std::vector<inspect::Site> sites;
    std::string text;
    for (const TableFile& file : files) {
        inspect::TableEntry entry;
        entry.inode = file.inode;
        entry.file_size = file.size;
        entry.residuals = file.code.residuals;
        entry.verdict = file.code.verdict;
        entry.first_range = static_cast<uint32_t>(ranges.size());
        entry.range_count = static_cast<uint32_t>(file.code.pages.size());
        entry.first_site = static_cast<uint32_t>(sites.size());
        entry.site_count = static_cast<uint32_t>(file.code.sites.size());
        entry.reason_offset = static_cast<uint32_t>(text.size());
        entry.reason_length = static_cast<uint32_t>(file.code.reason.size());
        entries.push_back(entry);
        ranges.insert(ranges.end(), file.code.pages.begin(), file.code.pages.end());
        sites.insert(sites.end(), file.code.sites.begin(), file.code.sites.end());
        text += file.code.reason;
    }
    text.resize((text.size() + kWord - 1) / kWord * kWord);
    inspect::TableFooter footer;
    footer.entries = static_cast<uint32_t>(entries.size());
    footer.ranges = static_cast<uint32_t>(ranges.size());
    footer.sites = static_cast<uint32_t>(sites.size());
    footer.text_bytes = static_cast<uint32_t>(text.size());
    std::string table;
    append(table, entries);
    append(table, ranges);
    append(table, sites);
    table += text;
    std::vector<uint64_t> words(table.size() / kWord);
    if (!words.empty()) std::memcpy(words.data(), table.data(), table.size());
    footer.checksum = inspect::table_checksum(words);
    footer.table_bytes = table.size() + sizeof footer;
    footer.version = inspect::kTableVersion;
    footer.magic = inspect::kTableMagic;
    table.append(reinterpret_cast<const char*>(&footer), sizeof footer);
    return table;
}

void append_code_table(const fs::path& image, const std::vector<ImageFile>& files, const fs::path& cache) {
    std::vector<TableFile> inspected;
    std::fstream stream(image, std::ios::binary | std::ios::in | std::ios::out);
    auto read = [&](const ImageFile& file, uint64_t size) {
        std::string content(size, '\0');
        stream.seekg(static_cast<std::streamoff>(file.offset));
        stream.read(content.data(), static_cast<std::streamsize>(size));
        return content;
    };
    for (const ImageFile& file : files) {
        if (file.size < 4 || !looks_like_elf(read(file, 4))) continue;
        const std::string content = read(file, file.size);
        if (!stream) break;
        inspected.push_back({file.inode, file.size, cached_code(content, cache)});
    }
    const std::string table = code_table(std::move(inspected));
    stream.seekp(0, std::ios::end);
    stream.write(table.data(), static_cast<std::streamsize>(table.size()));
    stream.close();
    if (!stream) throw system_failure("cannot add the table of code to the image " + image.string());
}

}  // namespace tool
