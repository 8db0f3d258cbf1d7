#include "profile/places_of_code.h"

#include <elf.h>

#include <algorithm>
#include <cstring>

#include "elf/elf_file.h"

namespace tool {

namespace {

constexpr uint64_t kPageSize = 4096;
// A patched page differs in a few instructions; another page differs nearly everywhere.
constexpr size_t kMostPatchedBytes = kPageSize / 8;

size_t hash_of(const std::string& bytes) { return std::hash<std::string>()(bytes); }

std::string base_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

CodePlaces::CodePlaces(const Tree& root, std::string_view kernel, const Trace& trace) {
    root.walk([&](const std::string& path, const std::shared_ptr<Node>& node) {
        if (node->type == NodeType::Regular && node->size() > sizeof(Elf64_Ehdr)) add_file(path, node->content());
    });
    std::vector<std::vector<FilePage>> candidates;
    std::vector<size_t> pages_that_ran(files_.size());
    for (const std::string& page : trace.pages)
        for (const FilePage& place : candidates.emplace_back(find_pages(page))) ++pages_that_ran[place.file];
    std::vector<std::optional<FilePage>> places;
    for (const std::vector<FilePage>& pages : candidates) {
        auto best = std::max_element(pages.begin(), pages.end(), [&](const FilePage& a, const FilePage& b) {
            return pages_that_ran[a.file] < pages_that_ran[b.file];
        });
        places.push_back(best == pages.end() ? std::nullopt : std::optional(*best));
    }

    const SymbolTable kernel_symbols(kernel);
    for (const Trace::Block& block : trace.blocks) {
        Function function{.name = "[firmware, or code made at run time]", .object = "?"};
        if (block.page < 0) {
            function = {.name = std::string(kernel_symbols.find(block.address)), .object = "kernel"};
        } else if (const auto& place = places[static_cast<size_t>(block.page)]) {
            const File& file = files_[place->file];
            function = {.name = std::string(file.symbols->find(place->address + block.address % kPageSize)),
                        .object = file.name,
                        .is_program = file.is_program};
        }
        if (function.name.empty()) function.name = "[" + function.object + "]";
        of_blocks_.push_back(number_of(std::move(function)));
    }
}

void CodePlaces::add_file(const std::string& path, std::string content) {
    if (!content.starts_with(ELFMAG)) return;
    const std::optional<ElfFile> elf = parse_elf(content);
    if (!elf) return;
    const auto number = static_cast<uint32_t>(files_.size());
    files_.push_back({base_name(path), elf->is_executable && elf->soname.empty(),
                      std::make_shared<SymbolTable>(content), std::move(content)});
    const std::string& bytes = files_.back().content;
    Elf64_Ehdr header;
    std::memcpy(&header, bytes.data(), sizeof header);
    for (unsigned i = 0; i < header.e_phnum; ++i) {
        Elf64_Phdr segment;  // parse_elf has read it, so it is there
        std::memcpy(&segment, bytes.data() + header.e_phoff + i * sizeof segment, sizeof segment);
        if (segment.p_type != PT_LOAD || !(segment.p_flags & PF_X)) continue;
        const uint64_t end = std::min<uint64_t>(segment.p_offset + segment.p_filesz, bytes.size());
        for (uint64_t offset = segment.p_offset & ~(kPageSize - 1); offset < end; offset += kPageSize) {
            const FilePage page{number, offset, segment.p_vaddr - segment.p_offset + offset};
            pages_by_hash_.emplace(hash_of(page_of(page)), static_cast<uint32_t>(file_pages_.size()));
            file_pages_.push_back(page);
        }
    }
}

std::string CodePlaces::page_of(const FilePage& page) const {
    std::string bytes = files_[page.file].content.substr(page.offset, kPageSize);
    bytes.resize(kPageSize);
    return bytes;
}

std::vector<CodePlaces::FilePage> CodePlaces::find_pages(const std::string& bytes) const {
    std::vector<FilePage> found;
    // Nearly empty pages are like each other, whatever they belong to.
    if (static_cast<size_t>(std::count(bytes.begin(), bytes.end(), '\0')) > kPageSize - kMostPatchedBytes) return found;
    auto [first, last] = pages_by_hash_.equal_range(hash_of(bytes));
    for (; first != last; ++first)
        if (page_of(file_pages_[first->second]) == bytes) found.push_back(file_pages_[first->second]);
    return found.empty() ? find_similar(bytes) : found;
}

std::vector<CodePlaces::FilePage> CodePlaces::find_similar(const std::string& bytes) const {
    std::vector<FilePage> found;
    size_t fewest = kMostPatchedBytes;
    for (const FilePage& page : file_pages_) {
        const std::string& content = files_[page.file].content;
        size_t different = 0;
        for (size_t i = 0; i < kPageSize && different <= fewest; ++i)
            different += bytes[i] != (page.offset + i < content.size() ? content[page.offset + i] : '\0');
        if (different > fewest) continue;
        if (different < fewest) found.clear();
        fewest = different;
        found.push_back(page);
    }
    return found;
}

uint32_t CodePlaces::number_of(Function function) {
    auto [entry, is_new] =
        numbers_.try_emplace({function.object, function.name}, static_cast<uint32_t>(functions_.size()));
    if (is_new) functions_.push_back(std::move(function));
    return entry->second;
}

}  // namespace tool
