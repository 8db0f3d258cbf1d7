// The page-table format of x86-64 (SDM vol. 3, 4.5 "4-level paging", 4.6.2 "protection keys").
//
// mm/ reaches the format only through `PageEntry` and the functions here: they are what another architecture
// has to offer. Levels count from the leaf: 1 maps 4 KiB pages, 4 is the top.
#pragma once

#include <cstddef>
#include <cstdint>

#include "arch/x86_64/layout.h"
#include "core/types.h"

namespace arch {

inline constexpr unsigned kLeafLevel = 1;
inline constexpr unsigned kTopLevel = 4;
inline constexpr unsigned kTableEntries = 512;

// Bytes that one entry of a table of this level covers: 4 KiB, 2 MiB, 1 GiB, 512 GiB.
constexpr uint64_t entry_span(unsigned level) { return uint64_t{1} << (12 + 9 * (level - 1)); }
constexpr unsigned table_index(uint64_t address, unsigned level) {
    return (address >> (12 + 9 * (level - 1))) & (kTableEntries - 1);
}

// One entry. A value: reading and writing tables is PageTable's business.
//
// Entries of programs are made with Accessed and, if writable, Dirty set, so that the processor never writes
// them: nothing here is written back to a device, and so nobody reads those bits.
class PageEntry {
  public:
    static constexpr uint64_t kPresent = 1 << 0, kWrite = 1 << 1, kUser = 1 << 2, kWriteThrough = 1 << 3,
                              kCacheDisable = 1 << 4, kAccessed = 1 << 5, kDirty = 1 << 6, kLarge = 1 << 7,
                              kGlobal = 1 << 8 /* never set */, kNoExecute = uint64_t{1} << 63;
    // Software bits. kHeld: not present, but the entry holds a page that PROT_NONE hides.
    static constexpr uint64_t kHeld = 1 << 9, kSoftware1 = 1 << 10, kSoftware2 = 1 << 11;
    static constexpr uint64_t kFrameMask = 0x000f'ffff'ffff'f000;
    static constexpr unsigned kKeyShift = 59;
    static constexpr uint64_t kKeyMask = uint64_t{15} << kKeyShift;

    constexpr PageEntry() = default;
    constexpr explicit PageEntry(uint64_t raw) : raw_(raw) {}
    constexpr PageEntry(core::Pfn frame, uint64_t flags) : raw_(frame.address().value() | flags) {}

    // An entry that leads to a table of the next lower level, for programs and for the kernel.
    static constexpr PageEntry user_table(core::Pfn table) {
        return PageEntry(table, kPresent | kWrite | kUser | kAccessed);
    }
    static constexpr PageEntry kernel_table(core::Pfn table) {
        return PageEntry(table, kPresent | kWrite | kUser | kAccessed | key_bits(kKernelKey));
    }
    // A page of kernel data.
    static constexpr PageEntry kernel_data(core::Pfn frame) {
        return PageEntry(frame, kPresent | kWrite | kUser | kAccessed | kDirty | kNoExecute | key_bits(kKernelKey));
    }
    static constexpr uint64_t key_bits(unsigned key) { return uint64_t{key} << kKeyShift; }

    constexpr uint64_t raw() const { return raw_; }
    constexpr bool is_empty() const { return raw_ == 0; }
    constexpr bool is_present() const { return raw_ & kPresent; }
    constexpr bool is_held() const { return (raw_ & (kPresent | kHeld)) == kHeld; }
    // Has a frame, visible or hidden by PROT_NONE.
    constexpr bool has_frame() const { return raw_ & (kPresent | kHeld); }
    constexpr bool is_writable() const { return raw_ & kWrite; }
    constexpr bool is_large() const { return raw_ & kLarge; }
    constexpr bool is_executable() const { return !(raw_ & kNoExecute); }
    constexpr bool is_user() const { return raw_ & kUser; }
    constexpr unsigned key() const { return (raw_ & kKeyMask) >> kKeyShift; }
    constexpr core::Pfn frame() const { return core::Pfn((raw_ & kFrameMask) >> 12); }
    constexpr uint64_t flags() const { return raw_ & ~kFrameMask; }
    constexpr PageEntry with(uint64_t bits) const { return PageEntry(raw_ | bits); }
    constexpr PageEntry without(uint64_t bits) const { return PageEntry(raw_ & ~bits); }
    constexpr bool operator==(const PageEntry&) const = default;

  private:
    uint64_t raw_ = 0;
};
static_assert(sizeof(PageEntry) == 8);

// One table page. Other processors' page walks read it at any time: entries are stored whole.
struct PageTable {
    volatile uint64_t entries[kTableEntries];

    PageEntry get(unsigned index) const { return PageEntry(entries[index]); }
    void set(unsigned index, PageEntry entry) { entries[index] = entry.raw(); }
};
static_assert(sizeof(PageTable) == core::kPageSize);

}  // namespace arch
