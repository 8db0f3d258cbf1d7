// The exposed slot: what interrupt delivery and the entry stubs need under the interrupted program's PKRU.
//
// One top-level slot with U/S = 0, the same virtual address on every processor, other pages on each. It holds
// exactly (offsets in arch/x86_64/asm_layout.h): the gate page (where LSTAR points: a jump to the model's stub),
// the stubs, IDT, GDT and TSS read-only, a scratch page and five IST stacks writable. Two chains a processor,
// one for confined programs (its scratch page is the Processor page: ring 3 cannot reach it), one for isolated
// ones (its scratch page holds nothing but the running program's registers).
#pragma once

#include "arch/x86_64/processor.h"
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

// The stub that leaves the kernel to a program with a full restore: arch::Processor::exit_to_program.
using ExitStub = void (*)(void* frame);
ExitStub exit_stub(bool isolated);

}  // namespace mpk
