#include "mpk/inspect/elf_image.h"

#include "core/types.h"

namespace mpk::inspect {

namespace {

// Limits of what is a sane file; Linux has 65536 bytes of program headers (fs/binfmt_elf.c).
constexpr unsigned kMaxHeaders = 1024;

}  // namespace

std::optional<uint64_t> ElfImage::offset_of(uint64_t address) const {
    for (const Segment& segment : std::span(loaded_.data(), loaded_.size()))
        if (segment.contains_address(address)) return segment.offset_of(address);
    return std::nullopt;
}

const Segment* ElfImage::executable_at(uint64_t address) const {
    for (const Segment& segment : std::span(executable_.data(), executable_.size()))
        if (segment.contains_address(address)) return &segment;
    return nullptr;
}

Result<ElfImage> ElfImage::parse(const Reader& file, Refusal& refusal) {
    if (file.size() >= kLongestFile) return fail(Errno::kNoExec);
    auto header = TRY(read_struct<Elf64_Ehdr>(file, 0));
    if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
        header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_machine != EM_X86_64 ||
        (header.e_type != ET_EXEC && header.e_type != ET_DYN))
        return fail(Errno::kNoExec);
    if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum == 0 || header.e_phnum > kMaxHeaders)
        return refusal("its program headers are broken");
    ElfImage image;
    image.entry_ = header.e_entry;
    std::optional<Segment> dynamic;
    auto visit = [&](const Elf64_Phdr& p) -> Result<void> {
        Segment segment{p.p_vaddr, p.p_offset, p.p_filesz};
        const bool inside = segment.offset <= file.size() && segment.size <= file.size() - segment.offset &&
                            segment.address <= core::kUserEnd && segment.size <= core::kUserEnd - segment.address;
        if (p.p_type == PT_GNU_STACK && (p.p_flags & PF_X)) return refusal("it asks for an executable stack");
        if (p.p_type != PT_LOAD && p.p_type != PT_DYNAMIC && p.p_type != PT_GNU_EH_FRAME) return {};
        if (!inside) return refusal("a segment lies outside of the file");
        if (p.p_type == PT_DYNAMIC) dynamic = segment;
        if (p.p_type == PT_GNU_EH_FRAME) image.eh_frame_header_ = segment;
        if (p.p_type != PT_LOAD) return {};
        if ((p.p_vaddr - p.p_offset) % core::kPageSize) return refusal("a segment does not lie on its page");
        TRY(image.loaded_.push_back(segment));
        if (!(p.p_flags & PF_X)) return {};
        if (p.p_flags & PF_W) return refusal("a segment is writable and executable", p.p_offset);
        if (p.p_memsz != p.p_filesz) return refusal("an executable segment is larger than its part of the file");
        if (segment.size) TRY(image.executable_.push_back(segment));
        return {};
    };
    auto read = for_each_struct<Elf64_Phdr>(file, header.e_phoff, header.e_phnum, visit);
    if (!read) {
        if (read.error() == Errno::kNoExec && !refusal.reason) return refusal("its program headers are cut off");
        return fail(read.error());
    }
    if (dynamic) TRY(image.parse_dynamic(file, *dynamic, refusal));

    auto sections = image.parse_sections(file, header);
    if (!sections && sections.error() != Errno::kNoExec) return fail(sections.error());
    return image;
}

// Section headers are no part of what is loaded: broken ones (NOEXEC) only mean that less is known.
Result<void> ElfImage::parse_sections(const Reader& file, const Elf64_Ehdr& header) {
    if (header.e_shentsize != sizeof(Elf64_Shdr) || header.e_shstrndx >= header.e_shnum) return fail(Errno::kNoExec);
    const auto names =
        TRY(read_struct<Elf64_Shdr>(file, header.e_shoff + header.e_shstrndx * uint64_t{sizeof(Elf64_Shdr)}));
    return for_each_struct<Elf64_Shdr>(
        file, header.e_shoff, header.e_shnum, [&](const Elf64_Shdr& section) -> Result<void> {
            if (section.sh_type == SHT_SYMTAB && section.sh_entsize == sizeof(Elf64_Sym))
                symbols_[1] = {0, section.sh_offset, section.sh_size};
            struct { char text[10]; } name;
            constexpr char kEhFrame[10] = ".eh_frame";
            if (!(section.sh_flags & SHF_ALLOC) || section.sh_name >= names.sh_size) return {};
            auto read = read_struct<decltype(name)>(file, names.sh_offset + section.sh_name);
            if (read && std::memcmp(read->text, kEhFrame, sizeof kEhFrame) == 0) eh_frame_section_ = section.sh_addr;
            return {};
        });
}

Result<void> ElfImage::parse_dynamic(const Reader& file, const Segment& where, Refusal& refusal) {
    uint64_t symbols = 0, strings = 0;
    bool ended = false;
    auto visit = [&](const Elf64_Dyn& entry) -> Result<void> {
        if (ended) return {};
        const uint64_t value = entry.d_un.d_val;
        switch (entry.d_tag) {
            case DT_NULL: ended = true; break;
            case DT_INIT: init_ = value; break;
            case DT_FINI: fini_ = value; break;
            case DT_PREINIT_ARRAY: arrays_[0].address = value; break;
            case DT_PREINIT_ARRAYSZ: arrays_[0].size = value; break;
            case DT_INIT_ARRAY: arrays_[1].address = value; break;
            case DT_INIT_ARRAYSZ: arrays_[1].size = value; break;
            case DT_FINI_ARRAY: arrays_[2].address = value; break;
            case DT_FINI_ARRAYSZ: arrays_[2].size = value; break;
            case DT_RELA: relocations_.address = value; break;
            case DT_RELASZ: relocations_.size = value; break;
            case DT_SYMTAB: symbols = value; break;
            case DT_STRTAB: strings = value; break;
            case DT_TEXTREL: return refusal("it has relocations in its code (DT_TEXTREL)");
            case DT_FLAGS:
                if (value & DF_TEXTREL) return refusal("it has relocations in its code (DF_TEXTREL)");
                break;
            default: break;
        }
        return {};
    };
    TRY(for_each_struct<Elf64_Dyn>(file, where.offset, where.size / sizeof(Elf64_Dyn), visit));
    // Nothing says how many symbols there are but the hash tables; linkers put the strings right behind them.
    auto first = offset_of(symbols), last = offset_of(strings);
    if (symbols && first && last && *last > *first) symbols_[0] = {symbols, *first, *last - *first};
    return {};
}

}  // namespace mpk::inspect
