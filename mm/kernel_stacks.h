// Kernel stacks of 16 KiB, each with an unmapped page below it, in slot 384 of the kernel half.
#pragma once

#include "arch/x86_64/layout.h"
#include "core/result.h"

namespace mm {

// The lowest address of arch::kKernelStackSize writable bytes, not zeroed. ENOMEM. Cheap while this processor's
// cache has one. Locks taken: Rank::kHeap.
Result<void*> allocate_kernel_stack();
// Not the one that runs. Surplus ones are unmapped on all processors.
void free_kernel_stack(void* lowest);

}  // namespace mm
