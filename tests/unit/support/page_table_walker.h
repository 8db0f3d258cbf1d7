// A second, independent reading of page tables: by raw numbers from the SDM (vol. 3, table 4-15 to 4-20), not by
// the kernel's own types. Walks a top-level table as the processor would.
#pragma once

#include <cstdint>
#include <functional>
#include <map>

#include "core/types.h"
#include "mm/frames.h"

namespace walker {

struct Page {
    uint64_t physical = 0;
    bool present = false, writable = false, user = false, executable = false;
    bool large = false;  // 2 MiB: PS of the entry that maps it
    unsigned key = 0;
    uint64_t raw = 0;
};

inline const uint64_t* table_at(uint64_t physical) {
    return reinterpret_cast<const uint64_t*>(mm::host_memory + physical);
}

// Rights are ANDed over the levels, as in the SDM.
inline Page look_up(uint64_t top_physical, uint64_t address) {
    Page page;
    page.writable = page.user = page.executable = true;
    uint64_t table = top_physical;
    for (int shift = 39; shift >= 12; shift -= 9) {
        uint64_t entry = table_at(table)[(address >> shift) & 511];
        page.raw = entry;
        if (!(entry & 1)) return Page{.raw = shift == 12 ? entry : 0};
        page.writable &= entry >> 1 & 1;
        page.user &= entry >> 2 & 1;
        page.executable &= !(entry >> 63);
        page.key = entry >> 59 & 15;
        table = entry & 0x000ffffffffff000;
        if (shift == 21 && (entry >> 7 & 1)) {
            page.large = true;
            table += address & 0x1ff000;
            break;
        }
    }
    page.present = true;
    page.physical = table;
    return page;
}

// Calls visit(address, leaf entry) for every non-empty leaf entry of the lower half, and for 4 KiB after 4 KiB of a
// 2 MiB page.
inline void for_each(uint64_t table, int shift, uint64_t base, const std::function<void(uint64_t, uint64_t)>& visit) {
    int count = shift == 39 ? 256 : 512;
    for (int i = 0; i < count; i++) {
        uint64_t entry = table_at(table)[i];
        uint64_t address = base + (uint64_t(i) << shift);
        if (entry == 0) continue;
        if (shift == 21 && (entry >> 7 & 1)) {
            for (uint64_t at = 0; at < 1 << 21; at += 4096) visit(address + at, entry + at);
        } else if (shift == 12) visit(address, entry);
        else for_each(entry & 0x000ffffffffff000, shift - 9, address, visit);
    }
}

}  // namespace walker
