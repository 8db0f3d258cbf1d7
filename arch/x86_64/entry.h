// What the entry stubs (mpk/stubs*.S) and the interrupt dispatcher call in the rooms above; boot/ defines them.
#pragma once

#include <cstdint>

#include "arch/x86_64/asm_layout.h"
#include "arch/x86_64/trap_frame.h"

extern "C" {

// The handlers of system calls by number, called with the running thread and its frame (abi::Context); the last
// entry answers numbers past the end. The result goes to rax; sched::Thread::exit_work says what else is to do.
// Calls that need a full frame have isounik_full_frame_call there (mpk/system_call.S).
extern const void* isounik_system_call_table[SYSTEM_CALL_TABLE_SIZE + 1];
void isounik_full_frame_call();
// The same for the call gate: functions of the call's own arguments, which note them and the number in
// arch::call_frame() for a restart; what their frame lacks is filled in when there is work. isounik_call_by_frame fills it
// in at once and calls the entry of the table above.
extern const void* isounik_call_table[SYSTEM_CALL_TABLE_SIZE + 1];
void isounik_call_by_frame();
// With a full frame, when a handler is done and there is work: signals, preemption, restarts.
void isounik_system_call_work(arch::TrapFrame* frame);
// One of the calls that need a full frame, and then the same.
void isounik_full_system_call(arch::TrapFrame* frame);
// Any vector that interrupted a program (`from_program`), the idle loop or a poll point.
void isounik_interrupt(arch::TrapFrame* frame, uint64_t vector, bool from_program);
// NMI, #DB, #DF and #MC, on a stack of their own. 0: resume what was interrupted; 1: it is a program's exception,
// to go on as isounik_interrupt() on the thread's stack.
uint32_t isounik_own_stack_interrupt(arch::TrapFrame* frame, uint64_t vector, bool from_program);
// The first return of a new program thread.
void isounik_first_return(arch::TrapFrame* frame);

}
