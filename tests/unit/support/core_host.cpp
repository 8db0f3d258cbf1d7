// What core/ needs from the machine, on a host: panic() fails the test, spinning yields.
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "core/lock_order.h"
#include "core/panic.h"

namespace core {

void panic(const char* file, int line, const char* message) {
    std::fprintf(stderr, "kernel panic: %s (%s:%d)\n", message, file, line);
    std::abort();
}

void spin_wait() { std::this_thread::yield(); }

HeldLocks& held_locks() {
    static thread_local HeldLocks held;
    return held;
}

}  // namespace core
