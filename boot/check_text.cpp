// check_text KERNEL: fails (1) if the kernel's text holds, at any byte offset, an instruction that would give a program
// in ring 0 power over the kernel when it jumps there (mpk/inspect/sequences.h). Runs at every build.
//
// WRPKRU may stand in the stubs, where the value is compared behind it. The armed page and the boot's own text are
// not executable while programs run. Left out of the list, as they give a program no more than `cli` and `hlt` do:
// reads of control and debug registers and MSRs (the values are no secrets), CLTS (CR0.TS is 0 anyway), SYSRET and
// SYSEXIT (to ring 3, which has less rights), INVD and WBINVD (a hypervisor intercepts INVD, SDM vol. 3, 26.1.2), LLDT
// and LTR (the GDT is read-only and holds no LDT and no TSS but the busy one).
//
// It fails as well (3) if a function's frame takes too much of a kernel stack.
#include <elf.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "mpk/inspect/sequences.h"

namespace {

using mpk::inspect::Sequence;

bool is_powerful(Sequence sequence, std::byte second) {
    switch (sequence) {
        case Sequence::kNone:
        case Sequence::kLoadLdtOrTask:
        case Sequence::kClearTaskSwitched:
        case Sequence::kSystemReturn:
        case Sequence::kInvalidateCaches: return false;
        case Sequence::kControlRegister: return second == std::byte{0x22};
        case Sequence::kDebugRegister: return second == std::byte{0x23};
        case Sequence::kModelRegister: return second != std::byte{0x32};
        default: return true;
    }
}

struct Image {
    std::vector<char> bytes;
    template <typename T>
    const T* at(uint64_t offset) const {
        return offset + sizeof(T) <= bytes.size() ? reinterpret_cast<const T*>(bytes.data() + offset) : nullptr;
    }
};

struct Place {
    std::string symbol = "?";
    uint64_t offset = 0;
};

// The symbol that covers `address`, by the symbol table.
Place place_of(const Image& image, const Elf64_Ehdr& header, uint64_t address) {
    Place best;
    uint64_t best_value = 0;
    for (unsigned i = 0; i < header.e_shnum; i++) {
        auto section = image.at<Elf64_Shdr>(header.e_shoff + i * sizeof(Elf64_Shdr));
        if (!section || section->sh_type != SHT_SYMTAB) continue;
        auto strings = image.at<Elf64_Shdr>(header.e_shoff + section->sh_link * sizeof(Elf64_Shdr));
        for (uint64_t at = 0; strings && at < section->sh_size; at += sizeof(Elf64_Sym)) {
            auto symbol = image.at<Elf64_Sym>(section->sh_offset + at);
            if (!symbol || ELF64_ST_TYPE(symbol->st_info) > STT_FUNC) continue;
            if (symbol->st_value > address || symbol->st_value < best_value) continue;
            auto name = image.at<char>(strings->sh_offset + symbol->st_name);
            if (!name || *name == '\0') continue;
            best_value = symbol->st_value;
            best = {name, address - symbol->st_value};
        }
    }
    return best;
}

unsigned check_section(const Image& image, const Elf64_Ehdr& header, const Elf64_Shdr& section, bool stubs) {
    std::span<const std::byte> text(reinterpret_cast<const std::byte*>(image.bytes.data()) + section.sh_offset,
                                    section.sh_size);
    unsigned found = 0;
    for (size_t at = mpk::inspect::find_sequence(text); at < text.size();
         at = mpk::inspect::find_sequence(text, at + 1)) {
        Sequence sequence = mpk::inspect::sequence_at(text.subspan(at)).sequence;
        if (!is_powerful(sequence, text[at + 1]) || (stubs && sequence == Sequence::kWritePkru)) continue;
        Place place = place_of(image, header, section.sh_addr + at);
        std::fprintf(stderr, "check_text: %s at %s + 0x%llx (address 0x%llx)\n", mpk::inspect::name_of(sequence),
                     place.symbol.c_str(), static_cast<unsigned long long>(place.offset),
                     static_cast<unsigned long long>(section.sh_addr + at));
        found++;
    }
    return found;
}

// A quarter of a kernel stack (arch::kKernelStackSize) and a little: a buffer of PATH_MAX bytes.
constexpr uint32_t kLargestFrame = 4096 + 256;

// SUB $imm32, %rsp at any offset; larger numbers than any frame's are bytes of something else.
unsigned check_frames(const Image& image, const Elf64_Ehdr& header, const Elf64_Shdr& section) {
    constexpr uint32_t kNoFrame = 1 << 20;
    unsigned found = 0;
    for (uint64_t at = 0; at + 7 <= section.sh_size; at++) {
        const char* bytes = image.bytes.data() + section.sh_offset + at;
        uint32_t size;
        if (std::memcmp(bytes, "\x48\x81\xec", 3) != 0) continue;
        std::memcpy(&size, bytes + 3, sizeof size);
        if (size <= kLargestFrame || size >= kNoFrame) continue;
        Place place = place_of(image, header, section.sh_addr + at);
        std::fprintf(stderr, "check_text: %s takes %u bytes of the stack; %u are allowed\n", place.symbol.c_str(), size,
                     kLargestFrame);
        found++;
    }
    return found;
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 2) return std::fprintf(stderr, "usage: check_text KERNEL\n"), 2;
    std::ifstream file(arguments[1], std::ios::binary);
    Image image{{std::istreambuf_iterator<char>(file), {}}};
    auto header = image.at<Elf64_Ehdr>(0);
    if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) {
        return std::fprintf(stderr, "check_text: %s is no ELF file\n", arguments[1]), 2;
    }
    auto names = image.at<Elf64_Shdr>(header->e_shoff + header->e_shstrndx * sizeof(Elf64_Shdr));
    unsigned found = 0, checked = 0, frames = 0;
    for (unsigned i = 0; names && i < header->e_shnum; i++) {
        auto section = image.at<Elf64_Shdr>(header->e_shoff + i * sizeof(Elf64_Shdr));
        if (!section || section->sh_type != SHT_PROGBITS || !(section->sh_flags & SHF_EXECINSTR)) continue;
        auto name = image.at<char>(names->sh_offset + section->sh_name);
        if (!name || section->sh_offset + section->sh_size > image.bytes.size()) continue;
        std::string_view text(name);
        if (text == ".boot" || text == ".init" || text == ".armed") continue;
        found += check_section(image, *header, *section, text == ".stubs");
        frames += check_frames(image, *header, *section);
        checked++;
    }
    if (checked < 2) return std::fprintf(stderr, "check_text: no kernel text in %s\n", arguments[1]), 2;
    if (frames != 0) return 3;  // another link helps nothing
    if (found == 0) return 0;
    std::fprintf(stderr, "check_text: programs in ring 0 could jump to these. Move the instruction to the armed page "
                         "or to an ISOUNIK_INIT function (arch/x86_64/armed.h); if the bytes are part of others, "
                         "change the source or the order of the link a little.\n");
    return 1;
}
