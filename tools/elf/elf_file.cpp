#include "elf/elf_file.h"

#include <elf.h>

#include <cstring>

#include "support/strings.h"

namespace tool {

namespace {

/// Reads structures out of bytes that may lie about their own size.
class Reader {
  public:
    explicit Reader(std::string_view bytes) : bytes_(bytes) {}

    template <typename T>
    bool read(uint64_t offset, T& value) const {
        if (offset > bytes_.size() || bytes_.size() - offset < sizeof value) return false;
        std::memcpy(&value, bytes_.data() + offset, sizeof value);
        return true;
    }

    std::string_view part(uint64_t offset, uint64_t size) const {
        if (offset > bytes_.size() || bytes_.size() - offset < size) return {};
        return bytes_.substr(offset, size);
    }

    /// A string that ends with NUL; empty if it does not end within the file.
    std::string text(uint64_t offset) const {
        if (offset >= bytes_.size()) return {};
        size_t end = bytes_.find('\0', offset);
        return end == std::string_view::npos ? std::string() : std::string(bytes_.substr(offset, end - offset));
    }

  private:
    std::string_view bytes_;
};

/// The place in the file of a virtual address, by the program headers.
std::optional<uint64_t> file_offset(const std::vector<Elf64_Phdr>& headers, uint64_t address) {
    for (const Elf64_Phdr& header : headers) {
        if (header.p_type == PT_LOAD && address >= header.p_vaddr && address - header.p_vaddr < header.p_filesz)
            return header.p_offset + (address - header.p_vaddr);
    }
    return std::nullopt;
}

void parse_dynamic(const Reader& reader, const std::vector<Elf64_Phdr>& headers, const Elf64_Phdr& dynamic,
                   ElfFile& elf) {
    std::vector<Elf64_Dyn> entries;
    uint64_t strings_address = 0;
    for (uint64_t i = 0; i < dynamic.p_filesz / sizeof(Elf64_Dyn); ++i) {
        Elf64_Dyn entry;
        if (!reader.read(dynamic.p_offset + i * sizeof entry, entry) || entry.d_tag == DT_NULL) break;
        if (entry.d_tag == DT_STRTAB) strings_address = entry.d_un.d_ptr;
        entries.push_back(entry);
    }
    std::optional<uint64_t> strings = file_offset(headers, strings_address);
    if (!strings) return;
    for (const Elf64_Dyn& entry : entries) {
        auto text = [&] { return reader.text(*strings + entry.d_un.d_val); };
        switch (entry.d_tag) {
            case DT_NEEDED: elf.needed.push_back(text()); break;
            case DT_SONAME: elf.soname = text(); break;
            case DT_RPATH:
            case DT_RUNPATH:
                for (std::string& path : split(text(), ':')) elf.search_paths.push_back(std::move(path));
                break;
            default: break;
        }
    }
}

}  // namespace

std::optional<ElfFile> parse_elf(std::string_view bytes) {
    Reader reader(bytes);
    Elf64_Ehdr header;
    if (!reader.read(0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
        header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_X86_64 ||
        (header.e_type != ET_EXEC && header.e_type != ET_DYN) || header.e_phentsize != sizeof(Elf64_Phdr))
        return std::nullopt;
    std::vector<Elf64_Phdr> headers(header.e_phnum);
    for (size_t i = 0; i < headers.size(); ++i) {
        if (!reader.read(header.e_phoff + i * sizeof(Elf64_Phdr), headers[i])) return std::nullopt;
    }
    ElfFile elf;
    for (const Elf64_Phdr& program_header : headers) {
        if (program_header.p_type == PT_INTERP) {
            std::string_view path = reader.part(program_header.p_offset, program_header.p_filesz);
            elf.interpreter = path.substr(0, path.find('\0'));
        } else if (program_header.p_type == PT_DYNAMIC) {
            parse_dynamic(reader, headers, program_header, elf);
        }
    }
    elf.is_executable = header.e_type == ET_EXEC || !elf.interpreter.empty() || elf.soname.empty();
    return elf;
}

}  // namespace tool
