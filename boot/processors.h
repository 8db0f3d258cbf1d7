// Starting the other processors.
#pragma once

#include <cstdint>
#include <span>

#include "core/result.h"

namespace boot {

// What each processor does for itself: control registers, FPU, descriptors, local APIC. The boot processor has
// its tables loaded already; others load theirs first.
void initialize_this_processor();

// Starts all processors of `apic_ids` but the first (this one) and waits until each runs its idle loop. One that
// does not answer within a second is logged and left out. ENOMEM.
Result<void> start_other_processors(std::span<const uint32_t> apic_ids);

}  // namespace boot
