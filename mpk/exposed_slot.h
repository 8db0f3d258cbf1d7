// The exposed slot: what interrupt delivery and the entry stubs need under the interrupted program's PKRU.
//
// One top-level slot with U/S = 0, the same virtual address on every processor, other pages on each. It holds
// exactly (offsets in arch/x86_64/asm_layout.h): the gate page (where LSTAR points: a jump to the model's stub),
// the stubs, IDT, GDT and TSS read-only, a scratch page and five IST stacks writable. Three chains a processor,
// one for each model: they differ in the gate page and the IDT, and isolated programs have the step page
// (process/code_site.h), readable and executable. The writable pages hold nothing but the running
// program's registers.
#pragma once

#include "arch/x86_64/processor.h"
#include "arch/x86_64/trap_frame.h"
#include "core/result.h"
#include "core/types.h"

namespace mpk {

// Builds gate pages, IDTs, GDT and TSS, shared by all processors. Once, with frames available. ENOMEM.
Result<void> initialize_exposed_pages();

// Builds processor `number`'s slots 509 and 510 and registers them with arch::set_processor_top_entry().
// `page` is the frame of its arch::Processor. ENOMEM.
Result<void> build_processor_slots(unsigned number, core::Pfn page);

// Loads GDT, TSS, IDT, and the system-call MSRs on the running processor, whose loaded top-level table must hold
// its exposed slot.
void load_descriptors();

// The stub that leaves the kernel to a program of `model` with a full restore: arch::Processor::exit_to_program.
using ExitStub = void (*)(void* frame);
ExitStub exit_stub(arch::Model model);

// Where a program of `model` calls the kernel directly: number and arguments in the registers of `syscall`, result in rax;
// keeps what a C function keeps. A confined program cannot reach it: it gets the isolated one's address, where it
// faults, and the kernel carries the call out (process/fault.cpp); so an address stays good when a program becomes
// confined.
uint64_t call_gate(arch::Model model);
// `address` is that of a call gate of any model, the common one of the gate page included.
bool is_call_gate(uint64_t address);
// `address` lies in the isolated call gate, before the kernel's memory is open.
bool enters_call_gate(uint64_t address);
// A program in ring 0 was interrupted. If it enters the call gate, with a register in the scratch page, it is back at the
// gate's beginning (true). To be called before anything else uses that page.
bool leave_call_gate(arch::TrapFrame& frame);

// `address` lies in the gate page or in a stub.
bool is_stub(uint64_t address);
// Where an NMI or #DB that interrupted a program at `address` returns to: `address` itself, or, where PKRU may be
// open there, a place of the same stub that is right with PKRU closed.
uint64_t leave_window(uint64_t address);

}  // namespace mpk
