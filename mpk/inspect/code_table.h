// The code maps of all ELF files of a boot image, made by the tool and appended to the image, so that a boot
// disassembles nothing. Read in place.
//
// Behind the last block of the EROFS image, all numbers little-endian, every part at a multiple of 8:
//     TableEntry[entries]   ascending by inode number
//     PageRange[ranges]     of all files
//     Site[sites]           of all files
//     text[text_bytes]      the reasons, padded with zeros; a multiple of 8
//     TableFooter           ends with the image
//
// The table is as trusted as the kernel: who can change the boot image can change the programs' isolation. It is
// checked against damage, not against malice: magic number, version, sizes, checksum, and every span of an entry.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "mpk/inspect/code_map.h"

namespace mpk::inspect {

struct TableEntry {
    uint64_t inode = 0;      // number in the EROFS image (nid)
    uint64_t file_size = 0;  // what the file's size was: a file of another size is another file
    uint64_t residuals = 0;
    Verdict verdict{};
    uint32_t first_range = 0, range_count = 0;
    uint32_t first_site = 0, site_count = 0;
    uint32_t reason_offset = 0, reason_length = 0;
    uint32_t reserved = 0;
};
static_assert(sizeof(TableEntry) == 56);

struct TableFooter {
    uint32_t entries = 0, ranges = 0, sites = 0, text_bytes = 0;
    uint64_t table_bytes = 0;  // this footer included
    uint64_t checksum = 0;     // table_checksum() of all before the footer
    uint64_t version = 0;
    uint64_t magic = 0;
};
static_assert(sizeof(TableFooter) == 48);

inline constexpr uint64_t kTableMagic = 0x3150'414d'4544'4f43;  // "CODEMAP1" as bytes
// Raised when the format or the rules of inspection change: a table of another version is not used.
inline constexpr uint64_t kTableVersion = 4;

// Over whole 8-byte words.
uint64_t table_checksum(std::span<const uint64_t> words);

class CodeTable {
  public:
    CodeTable() = default;  // without entries
    // `bytes` are all that stands behind the EROFS image, 8-aligned; they stay and do not change. Nothing if there is
    // no table or a damaged one; `*problem`, if given, then says what is wrong (null: there is none at all).
    static std::optional<CodeTable> open(std::span<const std::byte> bytes, const char** problem = nullptr);

    // The map of the boot image's inode `inode`, unless it has none, or one for another size. What it refers to lies in
    // the table. Logarithmic.
    std::optional<CodeMap> find(uint64_t inode, uint64_t file_size) const;

    std::span<const TableEntry> entries() const { return entries_; }

  private:
    std::span<const TableEntry> entries_;
    std::span<const PageRange> ranges_;
    std::span<const Site> sites_;
    std::span<const char> text_;
};

// The table of this machine's boot image. Set once, before the first program starts; empty until then.
const CodeTable& boot_code_table();
void set_boot_code_table(const CodeTable& table);

}  // namespace mpk::inspect
