// Inside the scheduler: for boot, interrupts and sched/ itself. Others use thread.h.
#pragma once

#include "sched/thread.h"

namespace sched {

// Makes the running context (the boot stack of a processor) that processor's idle thread.
Result<void> initialize_processor(unsigned cpu);
// The idle loop of this processor; never returns.
[[noreturn]] void run_idle();
// The tail of every switch, run on the new thread's stack.
void finish_switch();
// Vectors kVectorTimer and kVectorReschedule.
void on_timer_interrupt(void*);
void on_reschedule_interrupt(void*);

// Earliest deadline of this processor's timers; expires those due. Called from on_timer_interrupt().
Nanoseconds run_expired_timers(Nanoseconds now);
Nanoseconds next_timer_deadline();
// For tests: from now on every processor takes a timer interrupt at least every `period`.
void set_test_tick(Nanoseconds period);
// Sets the hardware timer for `deadline` unless it already fires earlier.
void program_timer(Nanoseconds deadline);

}  // namespace sched
