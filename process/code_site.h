// Traps in inspected text: what stands in for instructions that isolated programs must not execute.
#pragma once

#include <optional>

#include "mpk/inspect/safe_form.h"
#include "process/process.h"

namespace process {

// A breakpoint trap of an isolated program. If it is a site of inspected text, the instruction is emulated, or to be
// executed on the step page, or turned into the exception that it raises in ring 3.
enum class SiteResult : uint8_t {
    kNotASite,   // the program's own int3
    kResume,     // emulated, or the trap is not there any more: the frame says where to go on
    kStep,       // the frame stands at the instruction: begin_step() when nothing else is left to do
    kException,  // `vector` and `error_code` are what ring 3 would have raised; the frame is as it is then
};
struct SiteOutcome {
    SiteResult result{};
    uint64_t vector = 0, error_code = 0, address = 0;
    std::optional<mpk::inspect::SafeForm> form = {};  // kStep
};
SiteOutcome handle_trap_at_site(Thread& thread, arch::TrapFrame& frame);

// Lets the thread execute the instruction at which its frame stands on this processor's step page. The very last thing
// before it leaves the kernel: no signal, no switch may come between.
void begin_step(Thread& thread, arch::TrapFrame& frame, const mpk::inspect::SafeForm& form);

// The first thing after an interrupt or exception of a program: if it executes an instruction on the step page, takes it
// back to its own text, before or behind the instruction. True if the step was finished by its own trap: there is
// nothing else to do.
bool leave_step_page(Thread& thread, arch::TrapFrame& frame, uint64_t vector);

}  // namespace process
