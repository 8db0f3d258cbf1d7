// The composition root: brings the rooms up in order and starts the first program.
#pragma once

#include <cstdint>

extern "C" {
// Called by boot/pvh.S with the physical address of the PVH start info. Never returns.
[[noreturn]] void boot_main(uint64_t start_info);
}
