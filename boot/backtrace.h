// What the kernel says of itself when it dies.
#pragma once

#include <cstdint>

#include "arch/x86_64/trap_frame.h"

namespace boot {

void print_registers(const arch::TrapFrame& frame);
// Follows the chain of frame pointers (the kernel keeps them) and prints one line a call, with symbols.
void print_backtrace(uint64_t rip, uint64_t frame_pointer);

}  // namespace boot
