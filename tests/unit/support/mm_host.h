// Physical memory, top-level tables and TLB flushes for host tests: an arena stands for physical memory.
#pragma once

#include <cstdint>
#include <vector>

#include "arch/x86_64/tlb.h"
#include "core/types.h"

namespace test_support {

// Gives mm/ a fresh machine with `pages` frames of memory (frame 0 is not used). Whatever was allocated in the
// one before is gone: at the end of a test nothing of mm/ may be alive.
void reset_memory(uint64_t pages);

// The processor that the code under test runs on.
void set_this_cpu(unsigned cpu);
// What was flushed since the last call.
std::vector<arch::FlushRequest> take_flushes();
// The table that processor `cpu` has loaded; 0: the kernel's own.
core::PhysAddr loaded_table(unsigned cpu);

// Runs `body` with the n-th allocation (of frames, of the heap) failing, for n = 1, 2, ... until it runs without
// a failure. `body` returns true if it succeeded. Returns how many allocations one success takes.
template <typename Body>
uint64_t fail_each_allocation(Body body);

}  // namespace test_support

#include "mm/frames.h"

template <typename Body>
uint64_t test_support::fail_each_allocation(Body body) {
    for (uint64_t n = 1;; n++) {
        mm::inject_allocation_failure(n);
        bool succeeded = body();
        bool was_reached = mm::detail::failure_countdown.load() == 0;
        mm::inject_allocation_failure(0);
        if (succeeded && !was_reached) return n - 1;
        if (n > 100'000) return 0;
    }
}
