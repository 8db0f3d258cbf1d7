// What is known of the code in one ELF file: whether a program may run it in ring 0 with the kernel's memory closed
// by a key, and which of its instructions must be replaced before it does.
//
// All offsets are offsets in the file, so one map serves every process and every address that the file is mapped at.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace mpk::inspect {

enum class SiteKind : uint8_t {
    // An instruction of ring 0 (hlt, cli, in, out, wrmsr, lgdt, int n, far transfers, ...). In ring 3 it raises
    // #GP: SIGSEGV, si_code SI_KERNEL, si_addr 0.
    kGeneralProtection = 1,
    // One that ring 3 refuses as unknown (mwait, vmcall, ...). #UD: SIGILL, si_code ILL_ILLOPN, si_addr the site.
    kInvalidOpcode = 2,
    // WRPKRU: to be emulated. #GP as above if ECX or EDX is not 0.
    kWritePkru = 3,
    // POPF, 64-bit, or 16-bit if the instruction has the prefix 66: to be emulated, as ring 0 would let it change
    // IF and IOPL.
    kPopFlags = 4,
    // An ordinary instruction that holds a forbidden sequence (sequences.h) or takes part in one: to be carried out
    // elsewhere, see safe_form.h.
    kRelocate = 5,
};

// An instruction that must not stand in executable memory as it is in the file. Every one of its `length` bytes is to
// be replaced by kTrap (not only the first: a forbidden sequence may begin at any byte of it).
//
// Sites may overlap, if the program jumps both to an instruction and into it (behind a LOCK prefix, for example):
// each is found by the offset at which execution begins, and its bytes are those of the file.
//
// Also the format of the table behind the boot image.
struct Site {
    uint32_t offset_low = 0;
    uint16_t offset_high = 0;
    uint8_t length = 0;  // 1 to 15
    SiteKind kind{};

    constexpr Site() = default;
    constexpr Site(uint64_t offset, uint8_t site_length, SiteKind site_kind)
        : offset_low(static_cast<uint32_t>(offset)), offset_high(static_cast<uint16_t>(offset >> 32)),
          length(site_length), kind(site_kind) {}
    constexpr uint64_t offset() const { return uint64_t{offset_high} << 32 | offset_low; }
    constexpr uint64_t end() const { return offset() + length; }
    constexpr bool operator==(const Site&) const = default;
};
static_assert(sizeof(Site) == 8);

inline constexpr uint64_t kLongestFile = uint64_t{1} << 48;  // offsets of sites have 48 bits
inline constexpr size_t kLongestInstruction = 15;

// What stands in executable memory instead of a site's bytes: int3. The trap's saved RIP is the site + 1.
inline constexpr std::byte kTrap{0xcc};

// [offset, end) of a file; both are multiples of the page size, and `end` may lie up to a page behind the file's end.
struct PageRange {
    uint64_t offset = 0, end = 0;
    constexpr bool operator==(const PageRange&) const = default;
};

enum class Verdict : uint32_t {
    kIsolatable = 1,
    kNotIsolatable = 2,  // map().reason says why
    kNoCode = 3,         // no ELF file for this processor: nothing of it may be executed in ring 0
};

// The result of an inspection, or an entry of the boot image's table. A view: whoever made it holds the memory.
struct CodeMap {
    Verdict verdict = Verdict::kNoCode;
    // Why not: "bytes 0f 30 at offset 0x1234 (wrmsr or rdmsr) cannot be moved". Empty if isolatable.
    std::string_view reason;
    // The pages that were inspected, ascending, apart: those that the program headers call executable, rounded to
    // whole pages as mmap rounds them. **Other pages of the file must not become executable in ring 0.**
    std::span<const PageRange> pages;
    // Ascending by offset; no two begin at the same. Empty unless isolatable.
    std::span<const Site> sites;
    // Forbidden sequences that stay, in bytes not proven to be code (constant tables). Only control flow that was
    // taken over reaches them.
    uint64_t residuals = 0;

    bool isolatable() const { return verdict == Verdict::kIsolatable; }
    // True if all pages of the file that hold [offset, offset + size) were inspected. Rounds to whole pages.
    bool covers(uint64_t offset, uint64_t size) const;
    // The site that begins at `offset`, or null. Logarithmic.
    const Site* find(uint64_t offset) const;
    // The sites with a byte in [offset, offset + size): also one that begins before it and reaches into it.
    std::span<const Site> overlapping(uint64_t offset, uint64_t size) const;
};

}  // namespace mpk::inspect
