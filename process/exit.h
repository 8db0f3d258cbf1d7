// The end of threads and processes (exit(2), exit_group(2)).
#pragma once

#include "process/process.h"

namespace process {

// wait4(2)'s status words.
constexpr int exited_status(int code) { return (code & 0xff) << 8; }
constexpr int signaled_status(int signal) { return signal; }

// Ends the calling thread. The last one of a process ends it with `wait_status`, unless the whole process is
// already ending with another.
[[noreturn]] void exit_thread(int wait_status);
// Ends the calling thread's process with this status.
[[noreturn]] void exit_group(int wait_status);

// What the program itself is told while its memory is still there: robust locks, the word of set_tid_address(2).
// Of the running thread, before it exits or executes another program.
void leave_user_memory(Thread& thread);

// Called once, in the first process's last thread, with its wait status, when it has ended: the machine ends with
// it. Must not return.
void set_first_process_ended(void (*hook)(int wait_status));

// Ends all threads of the process but the caller, for exec. EAGAIN if the process is ending itself or another
// thread executes; otherwise the caller is alone when it returns and has the process's pid as its tid.
Result<void> leave_only_current(Thread& thread);

}  // namespace process
