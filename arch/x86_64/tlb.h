// Flushing stale translations, here and on other processors.
#pragma once

#include <cstdint>

#include "core/types.h"

namespace arch {

struct FlushRequest {
    uint64_t cpus = 0;             // bit n: processor n may hold stale translations (may include this one)
    uint64_t start = 0, end = 0;   // virtual bytes, page-aligned; ignored if `everything`
    bool everything = false;       // all translations of all tables (no global ones exist)
    uint8_t exit_work = 0;         // ORed into exit_work of the thread that each other processor runs
    // The space whose range it is, and which of its flushes this is (pcid.h). 0: the range lies in the kernel half.
    uint64_t space = 0, generation = 0;
    constexpr uint64_t pages() const { return (end - start) >> core::kPageShift; }
};

// Returns when no processor in `cpus` uses a translation of the range, nor a cached upper level of the tables,
// from before the call, nor will by loading a table again. Sends interrupts to the others and waits for their acknowledgement; processors that
// spin for a lock acknowledge in spin_wait(). May be called with spinlocks held. Longer ranges than some 32
// pages flush everything.
void flush(const FlushRequest& request);

// One page, this processor only (INVLPG, SDM vol. 3, 4.10.4.1: drops cached upper levels too).
#if ISOUNIK_HOST
void flush_page_here(uint64_t address);
#else
inline void flush_page_here(uint64_t address) {
    // SAFETY: forgets a translation; the tables decide what it becomes.
    asm volatile("invlpg (%0)" : : "r"(address) : "memory");
}
#endif

}  // namespace arch
