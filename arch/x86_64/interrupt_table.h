// The kernel's side of interrupt delivery (devices use interrupts.h).
#pragma once

#include "arch/x86_64/interrupts.h"

namespace arch {

// For the kernel's own vectors (apic.h), before processors start.
void set_vector(uint8_t vector, InterruptHandler handler, void* context);
// Runs the handler of `vector` and ends the interrupt. False if it is not in service: an `int n` instruction
// of a ring-0 program, which the caller turns into a signal.
bool handle_interrupt(uint8_t vector);

}  // namespace arch
