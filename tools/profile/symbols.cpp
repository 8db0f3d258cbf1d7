#include "profile/symbols.h"

#include <cxxabi.h>
#include <elf.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>

namespace tool {

namespace {

template <typename T>
std::optional<T> read_at(std::string_view bytes, uint64_t offset) {
    T value;
    if (offset > bytes.size() || bytes.size() - offset < sizeof value) return std::nullopt;
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
}

std::string_view text_at(std::string_view bytes, uint64_t offset) {
    if (offset >= bytes.size()) return {};
    const size_t end = bytes.find('\0', offset);
    return end == std::string_view::npos ? std::string_view() : bytes.substr(offset, end - offset);
}

/// "a::b(int) const" -> "a::b": cut where the parameters begin, outside of <>.
std::string without_parameters(std::string name) {
    int depth = 0;
    for (size_t i = 0; i < name.size(); ++i) {
        if (name.compare(i, 8, "operator") == 0) {
            i += 8;
            while (i < name.size() && name[i] != '(') ++i;
            if (name.compare(i, 2, "()") == 0) ++i;
            continue;
        }
        if (name.compare(i, 21, "(anonymous namespace)") == 0) {
            i += 20;
            continue;
        }
        if (name[i] == '<') ++depth;
        if (name[i] == '>') --depth;
        if (name[i] == '(' && depth == 0) return name.substr(0, i);
    }
    return name;
}

std::string readable(std::string_view mangled) {
    const std::string name(mangled);
    if (!name.starts_with("_Z")) return name;
    int status = 0;
    std::unique_ptr<char, void (*)(void*)> plain(abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status),
                                                 std::free);
    return status == 0 && plain ? without_parameters(plain.get()) : name;
}

}  // namespace

SymbolTable::SymbolTable(std::string_view elf) {
    const auto header = read_at<Elf64_Ehdr>(elf, 0);
    if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_ident[EI_CLASS] != ELFCLASS64) return;
    auto section = [&](uint64_t index) {
        return read_at<Elf64_Shdr>(elf, header->e_shoff + index * sizeof(Elf64_Shdr));
    };
    std::optional<Elf64_Shdr> table;
    for (uint64_t i = 0; i < header->e_shnum; ++i) {
        const auto candidate = section(i);
        if (!candidate) continue;
        if (candidate->sh_type == SHT_SYMTAB || (candidate->sh_type == SHT_DYNSYM && !table)) table = candidate;
    }
    if (!table) return;
    const auto strings = section(table->sh_link);
    if (!strings) return;
    for (uint64_t i = 0; i < table->sh_size / sizeof(Elf64_Sym); ++i) {
        const auto symbol = read_at<Elf64_Sym>(elf, table->sh_offset + i * sizeof(Elf64_Sym));
        if (!symbol) break;
        const unsigned type = ELF64_ST_TYPE(symbol->st_info);
        // Assembly labels have no type; data has.
        const bool code = type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE;
        if (!code || symbol->st_shndx == SHN_UNDEF || symbol->st_shndx >= SHN_LORESERVE) continue;
        const auto place = section(symbol->st_shndx);
        if (!place || !(place->sh_flags & SHF_EXECINSTR)) continue;
        const std::string_view name = text_at(elf, strings->sh_offset + symbol->st_name);
        if (!name.empty() && !name.starts_with(".L"))
            symbols_.push_back({symbol->st_value, symbol->st_size, std::string(name)});
    }
    std::stable_sort(symbols_.begin(), symbols_.end(), [](const Symbol& a, const Symbol& b) {
        return a.address != b.address ? a.address < b.address : a.size > b.size;
    });
    for (Symbol& symbol : symbols_) symbol.name = readable(symbol.name);
}

std::string_view SymbolTable::find(uint64_t address) const {
    auto after = std::upper_bound(symbols_.begin(), symbols_.end(), address,
                                  [](uint64_t wanted, const Symbol& symbol) { return wanted < symbol.address; });
    if (after == symbols_.begin()) return {};
    auto found = after - 1;
    while (found != symbols_.begin() && (found - 1)->address == found->address) --found;
    // Behind a sized function there may be padding, or functions whose names were stripped.
    if (found->size != 0 && address - found->address >= found->size) return {};
    return found->name;
}

}  // namespace tool
