// The switch between two kernel stacks.
#pragma once

#include <cstdint>

extern "C" {

// Saves the callee-saved registers on the current stack, stores the stack pointer in *save, continues on `load`.
// Returns when somebody switches back.
void arch_switch_stack(uint64_t* save, uint64_t load);
// Where a fresh stack begins: calls arch_thread_start's C++ part with rbx (function) and rbp (argument).
void arch_thread_trampoline();

}
