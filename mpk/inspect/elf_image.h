// What the inspection needs of an ELF file's headers. Every number in it may be a lie.
#pragma once

#include <elf.h>

#include <cstring>
#include <optional>

#include "core/result.h"
#include "core/vector.h"
#include "mpk/inspect/inspect.h"

namespace mpk::inspect {

// Why a file is not isolatable. `return refusal("...", offset);` leaves a function that returns a Result.
struct Refusal {
    const char* reason = nullptr;  // null: it is no refusal, but an error of memory or of the reader
    uint64_t offset = 0;           // 0: names no place

    core::Error operator()(const char* why, uint64_t at = 0) {
        reason = why;
        offset = at;
        return fail(Errno::kNoExec);
    }
};

// A part of the file that is mapped at an address of its own.
struct Segment {
    uint64_t address = 0, offset = 0, size = 0;
    uint64_t end_offset() const { return offset + size; }
    bool contains_address(uint64_t a) const { return a >= address && a - address < size; }
    bool contains_offset(uint64_t o) const { return o >= offset && o - offset < size; }
    uint64_t offset_of(uint64_t a) const { return offset + (a - address); }
    uint64_t address_of(uint64_t o) const { return address + (o - offset); }
};

template <typename T>
Result<T> read_struct(const Reader& file, uint64_t offset) {
    if (offset > file.size() || sizeof(T) > file.size() - offset) return fail(Errno::kNoExec);
    T value;
    TRY(file.read(offset, std::as_writable_bytes(std::span(&value, 1))));
    return value;
}

// Calls visit(const T&) for `count` structures at `offset`, read in pieces; it returns Result<void>.
// NOEXEC if they do not lie in the file.
template <typename T, typename Visit>
Result<void> for_each_struct(const Reader& file, uint64_t offset, uint64_t count, Visit visit) {
    if (offset > file.size() || count > (file.size() - offset) / sizeof(T)) return fail(Errno::kNoExec);
    constexpr uint64_t kPiece = 8;  // kernel stacks are small
    T piece[kPiece];
    while (count > 0) {
        uint64_t now = count < kPiece ? count : kPiece;
        TRY(file.read(offset, std::as_writable_bytes(std::span(piece, now))));
        for (uint64_t i = 0; i < now; i++) TRY(visit(piece[i]));
        offset += now * sizeof(T);
        count -= now;
    }
    return {};
}

class ElfImage {
  public:
    // NOEXEC with `refusal` set if it is an ELF file of this processor that must not run isolated, without it if it is
    // none at all; ENOMEM; what the reader returns.
    static Result<ElfImage> parse(const Reader& file, Refusal& refusal);

    std::span<const Segment> loaded() const { return loaded_; }
    std::span<const Segment> executable() const { return executable_; }
    uint64_t entry() const { return entry_; }
    std::optional<Segment> eh_frame_header() const { return eh_frame_header_; }
    // Where the section .eh_frame begins: static programs have no header for it. Nothing if no section is called so.
    std::optional<uint64_t> eh_frame_section() const { return eh_frame_section_; }
    // The offset of a mapped address; nothing if the file has no byte for it.
    std::optional<uint64_t> offset_of(uint64_t address) const;
    const Segment* executable_at(uint64_t address) const;

    // Addresses where code begins, by the dynamic section and the symbol tables: visit(address) returns Result<void>.
    // Those outside of executable segments are left out.
    template <typename Visit>
    Result<void> for_each_start(const Reader& file, Visit visit) const;

  private:
    Result<void> parse_dynamic(const Reader& file, const Segment& where, Refusal& refusal);
    Result<void> parse_sections(const Reader& file, const Elf64_Ehdr& header);

    core::Vector<Segment> loaded_, executable_;
    std::optional<Segment> eh_frame_header_;
    std::optional<uint64_t> eh_frame_section_;
    uint64_t entry_ = 0;
    uint64_t init_ = 0, fini_ = 0;
    // Parts of the file; size 0: there is none.
    struct Part { uint64_t address = 0, size = 0; };
    Part arrays_[3];  // DT_PREINIT_ARRAY, DT_INIT_ARRAY, DT_FINI_ARRAY
    Part relocations_;
    Segment symbols_[2];  // of the dynamic section (until its segment ends), .symtab
};

template <typename Visit>
Result<void> ElfImage::for_each_start(const Reader& file, Visit visit) const {
    auto start = [&](uint64_t address) -> Result<void> {
        if (!executable_at(address)) return {};
        return visit(address);
    };
    for (uint64_t address : {entry_, init_, fini_}) TRY(start(address));
    auto in_arrays = [&](uint64_t address) {
        for (const Part& array : arrays_)
            if (address >= array.address && address - array.address < array.size) return true;
        return false;
    };
    for (const Part& array : arrays_) {
        auto offset = offset_of(array.address);
        if (!offset || array.size == 0) continue;
        // Entries that DT_RELR relocates hold their addresses before relocation, as those of static programs do; those
        // of DT_RELA follow below. A broken array proves nothing and harms nobody: the loader will fault on it.
        auto done = for_each_struct<uint64_t>(file, *offset, array.size / 8, [&](uint64_t a) { return start(a); });
        if (!done && done.error() != Errno::kNoExec) return done;
    }
    if (auto offset = offset_of(relocations_.address); offset && relocations_.size) {
        auto done = for_each_struct<Elf64_Rela>(
            file, *offset, relocations_.size / sizeof(Elf64_Rela), [&](const Elf64_Rela& r) -> Result<void> {
                const auto type = ELF64_R_TYPE(r.r_info);
                const bool function = type == R_X86_64_IRELATIVE || (type == R_X86_64_RELATIVE && in_arrays(r.r_offset));
                return function ? start(static_cast<uint64_t>(r.r_addend)) : Result<void>{};
            });
        if (!done && done.error() != Errno::kNoExec) return done;
    }
    for (const Segment& table : symbols_) {
        if (table.size == 0) continue;
        auto done = for_each_struct<Elf64_Sym>(
            file, table.offset, table.size / sizeof(Elf64_Sym), [&](const Elf64_Sym& symbol) -> Result<void> {
                const unsigned type = ELF64_ST_TYPE(symbol.st_info);
                if ((type != STT_FUNC && type != STT_GNU_IFUNC) || symbol.st_shndx == SHN_UNDEF) return {};
                return start(symbol.st_value);
            });
        if (!done && done.error() != Errno::kNoExec) return done;
    }
    return {};
}

}  // namespace mpk::inspect
