// tsc_mhz: how fast this machine's time-stamp counter runs, in MHz: what bench/table divides cycles by. A guest on KVM
// reads the same counter.
#include <time.h>

#include "bench.h"

static uint64_t nanoseconds() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1'000'000'000 + (uint64_t)now.tv_nsec;
}

int main() {
    constexpr uint64_t kTime = 200'000'000;
    const uint64_t start = nanoseconds(), first = isobench::ticks();
    uint64_t end;
    do end = nanoseconds();
    while (end - start < kTime);
    printf("%.1f\n", (double)(isobench::ticks() - first) * 1000 / (double)(end - start));
}
