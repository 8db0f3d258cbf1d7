// What every top-level table's kernel half holds (mm/ fills new tables from here).
#pragma once

#include <cstdint>

#include "core/types.h"

namespace arch {

// Slots 256 to 511 except the two per-processor ones: raw entries with U/S = 1 (mm clears U/S for kConfined).
uint64_t kernel_top_entry(unsigned slot);
void set_kernel_top_entry(unsigned slot, uint64_t entry);  // boot
// Slots kProcessorSlot (509) and kExposedSlot (510) of one processor. `isolated`: for a table whose programs run
// in ring 0. U/S is already right.
uint64_t processor_top_entry(unsigned slot, unsigned cpu, bool isolated);
void set_processor_top_entry(unsigned slot, unsigned cpu, bool isolated, uint64_t entry);

void load_top_table(PhysAddr table);
// The kernel's own table of this processor, used by kernel threads and the idle loop.
void load_kernel_table();

// This processor's number, 0 to sched::cpu_count() - 1.
unsigned this_cpu();

}  // namespace arch
