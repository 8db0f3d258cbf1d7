// The kernel's own symbols, for backtraces. The table is made after the link (boot/symbols.cmake) and put into the
// image by a second one.
#pragma once

#include <cstdint>
#include <string_view>

namespace boot {

struct Symbol {
    std::string_view name;  // empty: unknown
    uint64_t offset = 0;    // of the address within it
};
Symbol find_symbol(uint64_t address);

}  // namespace boot
