#include "mm/failing_allocations.h"

#include "arch/x86_64/top_table.h"
#include "mm/frames.h"

namespace mm {

namespace {

uint64_t g_period = 0;  // 0: only one allocation fails
bool (*g_concerns_caller)() = nullptr;
std::atomic<uint64_t> g_failed{0};  // bit n: processor n

}  // namespace

namespace detail {

std::atomic<uint64_t> failure_countdown{0};

bool count_down_failure() {
    const uint64_t here = uint64_t{1} << arch::this_cpu();
    if (g_concerns_caller && !g_concerns_caller()) return false;
    uint64_t left = failure_countdown.load(std::memory_order_relaxed);
    while (left != 0) {
        const uint64_t next = left == 1 ? g_period : left - 1;
        if (!failure_countdown.compare_exchange_weak(left, next, std::memory_order_relaxed)) continue;
        if (left != 1) return false;
        g_failed.fetch_or(here, std::memory_order_relaxed);
        return true;
    }
    return false;
}

}  // namespace detail

void inject_allocation_failure(uint64_t countdown) {
    g_period = 0;
    g_concerns_caller = nullptr;
    detail::failure_countdown.store(countdown, std::memory_order_relaxed);
}

void fail_every(uint64_t n, bool (*concerns_caller)()) {
    g_period = n;
    g_concerns_caller = concerns_caller;
    g_failed.store(0, std::memory_order_relaxed);
    detail::failure_countdown.store(n, std::memory_order_relaxed);
}

bool failed_on_purpose() {
    const uint64_t here = uint64_t{1} << arch::this_cpu();
    return g_failed.fetch_and(~here, std::memory_order_relaxed) & here;
}

}  // namespace mm
