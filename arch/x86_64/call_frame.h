// The frame of a system call by the call gate, before anybody but its handler needs it.
#pragma once

#include "arch/x86_64/processor.h"
#include "arch/x86_64/trap_frame.h"

namespace arch {

// Of the running thread, which is in a call by the gate (mpk/stubs.S). The stub has filled in `rsp`, nothing else: what
// the program may see of it later must be written first.
inline TrapFrame& call_frame() {
    // SAFETY: the stack of the running thread begins with its frame, 8 bytes above entry_stack.
    return *reinterpret_cast<TrapFrame*>(processor().entry_stack + sizeof(uint64_t) - sizeof(TrapFrame));
}

}  // namespace arch
