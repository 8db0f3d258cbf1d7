// What every top-level table's kernel half holds (mm/ fills new tables from here).
#pragma once

#include <cstdint>

#include "arch/x86_64/layout.h"
#include "core/types.h"

namespace arch {

// Slots 256 to 511 except the two per-processor ones: raw entries with U/S = 1 (mm clears U/S unless the model is kIsolated).
uint64_t kernel_top_entry(unsigned slot);
void set_kernel_top_entry(unsigned slot, uint64_t entry);  // boot
// Slots kProcessorSlot (509) and kExposedSlot (510) of one processor, for tables of programs of `model`. U/S is
// already right.
uint64_t processor_top_entry(unsigned slot, unsigned cpu, Model model);
void set_processor_top_entry(unsigned slot, unsigned cpu, Model model, uint64_t entry);
// The full-restore exit stub of a model (mpk/). At boot.
void set_exit_stub(Model model, void (*stub)(void* frame));

struct TlbState;

// Loads a table of programs of `model`, one of `space`, where this processor's bit is set; the running thread's PKRU
// moves to where that model keeps it (pkru.h).
void load_top_table(PhysAddr table, Model model, const TlbState& space);
// The kernel's own table of this processor, used by kernel threads and the idle loop.
void load_kernel_table();

// This processor's number, 0 to sched::cpu_count() - 1.
unsigned this_cpu();

}  // namespace arch
