// What the entry code (arch, boot) calls in process/.
#pragma once

#include <cstdint>

#include "arch/x86_64/trap_frame.h"

namespace process {

class Thread;

// A processor exception raised by a program: resolves page faults, else forces the signal that Linux gives for
// it (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP) and, if it ends the program, logs the one line. `fault_address`
// is CR2 for vector 14. Before returning it calls return_to_user().
void program_exception(Thread& thread, arch::TrapFrame& frame, uint64_t vector, uint64_t error_code,
                       uint64_t fault_address);

// The last thing before a program resumes, after a system call, exception or interrupt: while there is work,
// reschedules, restarts interrupted calls, delivers signals, stops, or exits the thread (then never returns).
void return_to_user(Thread& thread, arch::TrapFrame& frame);
// True if return_to_user() has nothing to do: tested by the fast exit path. (Thread flags and the processor's
// need-reschedule flag.)

}  // namespace process
