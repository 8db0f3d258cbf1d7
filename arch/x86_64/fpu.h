// FPU set-up of a processor, and the switch of a thread's user state. For boot and the scheduler.
#pragma once

#include "arch/x86_64/user_state.h"

namespace arch {

// Sets CR0, CR4 and XCR0 of the running processor. On every processor, with the same outcome.
void initialize_fpu();
// Registers -> record and back. The record's thread is the running one / the next one.
void save_user_state(UserState& state);
void load_user_state(const UserState& state);

}  // namespace arch
