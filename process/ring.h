// The model that a thread leaves the kernel as, when it is not the one as which it came.
#pragma once

#include "process/process.h"

namespace process {

// The thread came into the kernel as another model than its address space has now: a thread made the process confined, or
// it has executed a program of another model. Loads the tables of the new model and gives the frame its selectors;
// every way out with a full frame then ends in that model's exit stub (Processor::exit_to_program).
void change_ring(Thread& thread, arch::TrapFrame& frame);

}  // namespace process
