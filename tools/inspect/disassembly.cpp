#include "inspect/disassembly.h"

#include <Zydis/Zydis.h>
#include <cxxabi.h>
#include <elf.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>

namespace tool {

namespace {

template <typename T>
std::optional<T> struct_at(std::string_view bytes, uint64_t offset) {
    if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
}

std::string demangled(const char* name) {
    int status = 0;
    std::unique_ptr<char, decltype(&std::free)> text(abi::__cxa_demangle(name, nullptr, nullptr, &status), &std::free);
    return status == 0 ? text.get() : name;
}

}  // namespace

std::string disassemble(std::string_view bytes, uint64_t address) {
    ZydisDecoder decoder;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    ZydisFormatter formatter;
    ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
    ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_HEX_UPPERCASE, ZYAN_FALSE);
    ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_ADDR_PADDING_ABSOLUTE, ZYDIS_PADDING_DISABLED);
    ZydisDecodedInstruction instruction;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    char text[256];
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes.data(), bytes.size(), &instruction, operands)) ||
        !ZYAN_SUCCESS(ZydisFormatterFormatInstruction(&formatter, &instruction, operands,
                                                      instruction.operand_count_visible, text, sizeof text, address,
                                                      nullptr)))
        return "(bad)";
    return text;
}

std::string hex_bytes(std::string_view bytes) {
    std::string text;
    for (char byte : bytes) {
        char pair[4];
        std::snprintf(pair, sizeof pair, "%s%02x", text.empty() ? "" : " ", static_cast<unsigned char>(byte));
        text += pair;
    }
    return text;
}

Symbols::Symbols(std::string_view elf) {
    auto header = struct_at<Elf64_Ehdr>(elf, 0);
    if (!header) return;
    for (unsigned i = 0; i < header->e_phnum; ++i) {
        auto program = struct_at<Elf64_Phdr>(elf, header->e_phoff + i * sizeof(Elf64_Phdr));
        if (program && program->p_type == PT_LOAD)
            segments_.push_back({program->p_vaddr, program->p_offset, program->p_filesz});
    }
    for (unsigned i = 0; i < header->e_shnum; ++i) {
        auto table = struct_at<Elf64_Shdr>(elf, header->e_shoff + i * sizeof(Elf64_Shdr));
        if (!table || (table->sh_type != SHT_SYMTAB && table->sh_type != SHT_DYNSYM)) continue;
        auto strings = struct_at<Elf64_Shdr>(elf, header->e_shoff + table->sh_link * sizeof(Elf64_Shdr));
        if (!strings || strings->sh_offset > elf.size()) continue;
        const std::string_view names = elf.substr(strings->sh_offset, strings->sh_size);
        for (uint64_t at = 0; at + sizeof(Elf64_Sym) <= table->sh_size; at += sizeof(Elf64_Sym)) {
            auto symbol = struct_at<Elf64_Sym>(elf, table->sh_offset + at);
            if (!symbol) break;
            const unsigned type = ELF64_ST_TYPE(symbol->st_info);
            if ((type != STT_FUNC && type != STT_GNU_IFUNC) || symbol->st_shndx == SHN_UNDEF) continue;
            if (symbol->st_name >= names.size()) continue;
            const std::string name(names.substr(symbol->st_name, names.find('\0', symbol->st_name) - symbol->st_name));
            if (!name.empty()) symbols_.push_back({symbol->st_value, symbol->st_size, name});
        }
    }
    std::ranges::stable_sort(symbols_, {}, &Symbol::address);
}

uint64_t Symbols::address_of(uint64_t offset) const {
    for (const Segment& segment : segments_)
        if (offset >= segment.offset && offset - segment.offset < segment.size)
            return segment.address + (offset - segment.offset);
    return offset;
}

std::string Symbols::name_at(uint64_t offset) const {
    const uint64_t address = address_of(offset);
    auto next = std::ranges::upper_bound(symbols_, address, {}, &Symbol::address);
    // Exported names are few in a stripped file: only one that really covers the address says something.
    while (next != symbols_.begin() && address - std::prev(next)->address >= std::prev(next)->size) {
        if (address - std::prev(next)->address > 0x10000) return {};
        --next;
    }
    if (next == symbols_.begin()) return {};
    const Symbol& symbol = *std::prev(next);
    char distance[32] = "";
    if (address != symbol.address)
        std::snprintf(distance, sizeof distance, "+0x%llx", static_cast<unsigned long long>(address - symbol.address));
    return demangled(symbol.name.c_str()) + distance;
}

}  // namespace tool
