#include "boot/symbols.h"

#include <cstddef>

namespace boot {

namespace {

// Sorted by address; `name` is an offset into the texts, which are NUL-terminated.
struct Entry {
    uint32_t address;  // relative to the kernel image's base
    uint32_t name;
};

// Weak: the first link has no table yet.
extern "C" {
extern const Entry symbol_entries[] __attribute__((weak));
extern const uint32_t symbol_count __attribute__((weak));
extern const char symbol_texts[] __attribute__((weak));
}

constexpr uint64_t kImageBase = 0xffff'ffff'8000'0000;

}  // namespace

Symbol find_symbol(uint64_t address) {
    if (&symbol_count == nullptr || address < kImageBase) return {};
    auto relative = static_cast<uint32_t>(address - kImageBase);
    size_t low = 0, high = symbol_count;  // the last entry at or below
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (symbol_entries[middle].address <= relative) low = middle + 1;
        else high = middle;
    }
    if (low == 0) return {};
    const Entry& entry = symbol_entries[low - 1];
    return {symbol_texts + entry.name, relative - entry.address};
}

}  // namespace boot
