// Debug kernels look at the page tables of every process that ends, and at the kernel's own when the machine ends
// (mpk/table_checker.h). A violation is a bug of the kernel: each is logged, and the machine ends.
#pragma once

#include "arch/x86_64/layout.h"

namespace mpk {

#if defined(ISOUNIK_KERNEL_DEBUG)
// Checks the table that is loaded on this processor, of a space that runs by `model`. Interrupts off: no table that is
// loaded here can be freed before this processor has answered a flush.
void audit_loaded_table(arch::Model model);
#else
inline void audit_loaded_table(arch::Model) {}
#endif

}  // namespace mpk
