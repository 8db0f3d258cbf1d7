#include "process/ring.h"

#include "arch/x86_64/user_state.h"
#include "process/signal_frame.h"

namespace process {

void change_ring(Thread& thread, arch::TrapFrame& frame) {
    thread.model = thread.address_space->model();
    thread.address_space->activate();
    arch::sanitize_frame(frame, entry_ring(thread));
}

}  // namespace process
