#include "core/lock.h"

namespace core {

namespace {
constexpr unsigned kPatience = 1000;  // spins: some tens of microseconds
}

void Spinlock::wait() {
    for (unsigned spins = 0; spins < kPatience; spins++) {
        spin_wait();
        if (!held_.load(std::memory_order_relaxed) && take()) return;
    }
    impatient_.fetch_add(1, std::memory_order_relaxed);
    while (held_.load(std::memory_order_relaxed) || held_.exchange(true, std::memory_order_acquire)) spin_wait();
    impatient_.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace core
