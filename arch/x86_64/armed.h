// Instructions that must not be within reach of a program in ring 0 that jumps into the kernel's text. They stand on
// the armed page (armed.S), which is executable only during these calls: arm, flush the page, execute, disarm,
// flush, with interrupts off. Each costs two INVLPG. The processor's slots must be built (mpk/exposed_slot.h).
//
// What only the boot executes stands in functions marked ISOUNIK_INIT, whose pages are gone before the first program
// runs. The build fails if kernel text holds such an instruction, at any offset, elsewhere (boot/check_text.cpp).
#pragma once

#include <cstdint>

#define ISOUNIK_INIT [[gnu::section(".init.text"), gnu::noinline]]

namespace arch {

// Address of the top-level table and, where CR4.PCIDE is set, the PCID that is loaded now: its translations go.
void write_cr3(uint64_t value);
// With any PCID, and bit 63 (pcid.h). For processors that have PCIDs.
void write_cr3_of_another_pcid(uint64_t value);
uint64_t read_msr(uint32_t msr);
void write_msr(uint32_t msr, uint64_t value);
// LIDT of a 10-byte descriptor.
void load_idt(const void* descriptor);

// For ISOUNIK_INIT functions.
[[gnu::always_inline]] inline void init_write_cr0(uint64_t v) { asm volatile("mov %0, %%cr0" : : "r"(v) : "memory"); }
[[gnu::always_inline]] inline void init_write_cr3(uint64_t v) { asm volatile("mov %0, %%cr3" : : "r"(v) : "memory"); }
[[gnu::always_inline]] inline void init_write_cr4(uint64_t v) { asm volatile("mov %0, %%cr4" : : "r"(v) : "memory"); }

}  // namespace arch
