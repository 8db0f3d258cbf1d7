// A scheduler for host tests: one thread, a clock that the test moves. sleep() never blocks the test: it runs what
// the test has planned for that moment (on_sleep), moves the clock to the deadline if nobody woke the thread, and
// fails the test if that was "never".
#pragma once

#include <functional>

#include "core/types.h"
#include "sched/thread.h"

namespace test_support {

// Called by the next sleep(), once: what "another thread" does meanwhile.
void on_sleep(std::function<void()> action);
void set_clock(Nanoseconds now);
// Moves the clock and expires timers that are due.
void advance_clock(Nanoseconds delta);
// The next interruptible sleeps end with kInterrupted.
void set_interrupted(bool interrupted);

}  // namespace test_support
