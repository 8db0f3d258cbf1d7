// Top-level page tables at hand. What the kernel half of a table holds depends on the kind of program only, but for
// the two slots of the processor: a table keeps it from one space to the next.
#pragma once

#include "core/types.h"
#include "mm/frames.h"

namespace mm {

// Fills the kernel half but for arch::kProcessorSlot and arch::kExposedSlot. `confined`: for programs in ring 3.
void fill_kernel_half(Pfn top, bool confined);

// A table with that kernel half and an empty lower half; the processor's slots hold anything. ENOMEM.
Result<Pfn> allocate_top_table(bool confined);
// The lower half is empty again, and no processor has it loaded.
void free_top_table(Pfn top, bool confined);

}  // namespace mm
