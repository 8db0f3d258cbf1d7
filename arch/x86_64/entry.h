// What the entry stubs (mpk/stubs*.S) and the interrupt dispatcher call in the rooms above; boot/ defines them.
#pragma once

#include <cstdint>

#include "arch/x86_64/trap_frame.h"

extern "C" {

// A system call of the running program; must have handled signals and preemption on return.
void isounik_system_call(arch::TrapFrame* frame);
// Any vector that interrupted a program (`from_program`), the idle loop or a poll point.
void isounik_interrupt(arch::TrapFrame* frame, uint64_t vector, bool from_program);
// The first return of a new program thread.
void isounik_first_return(arch::TrapFrame* frame);

}
