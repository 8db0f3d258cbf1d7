// The kernel half's page tables: direct map, kernel image, device registers.
#pragma once

#include "core/types.h"

namespace boot {

// Builds the kernel's top-level table in static memory, loads it, and gives the boot processor its Processor page.
// `ram_end`: end of the highest RAM. After it, mm::to_pointer() and arch::processor() work.
void build_kernel_tables(core::PhysAddr ram_end);
// A copy of the kernel's top-level table with processor `number`'s own slots, for its kernel threads. Needs
// mpk::build_processor_slots(). Returns its physical address (below 4 GiB for processors that start with it).
Result<core::PhysAddr> make_kernel_table(unsigned number);
// Unmaps the functions marked ISOUNIK_INIT (arch/x86_64/armed.h). Once, when all processors are up, before the first
// program.
void retire_init_text();

}  // namespace boot
