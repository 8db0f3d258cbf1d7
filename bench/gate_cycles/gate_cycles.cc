// Cycles of the instructions that a gate is made of, on a processor with PKU, as an ordinary program of Linux: what a pair
// of WRPKRU costs beside a `syscall`, and what the isolated model's entry and exit instructions cost together.
//
// Build and run: g++ -O2 -o gate_cycles gate_cycles.cc && ./gate_cycles. Cycles are ticks of the time-stamp counter, the
// median of many runs. On a processor without PKU it says so and measures the rest.
#include <cpuid.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <vector>

namespace {

constexpr int kRounds = 2001, kRepeats = 100;

inline uint64_t start_clock() {
    uint32_t low, high;
    asm volatile("lfence\n rdtsc\n lfence" : "=a"(low), "=d"(high) : : "memory");
    return uint64_t{high} << 32 | low;
}

// Median ticks of one execution of `operation`, the loop's own cost included.
template <typename Operation>
double measure(Operation operation) {
    std::vector<uint64_t> times;
    for (int round = 0; round < kRounds; round++) {
        uint64_t start = start_clock();
        for (int i = 0; i < kRepeats; i++) operation();
        times.push_back(start_clock() - start);
    }
    std::nth_element(times.begin(), times.begin() + kRounds / 2, times.end());
    return static_cast<double>(times[kRounds / 2]) / kRepeats;
}

bool has_pku() {
    unsigned a, b, c, d;
    constexpr unsigned kOspke = 1 << 4;  // CPUID leaf 7, ECX: the operating system has switched PKU on
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (c & kOspke);
}

inline uint32_t read_pkru() {
    uint32_t value, edx;
    asm volatile("rdpkru" : "=a"(value), "=d"(edx) : "c"(0));
    return value;
}

}  // namespace

int main() {
    double empty = measure([] { asm volatile("" : : : "memory"); });
    auto report = [&](const char* what, double cycles) { std::printf("%-44s %8.1f\n", what, cycles - empty); };
    report("syscall (getpid)", measure([] {
        long number = SYS_getpid;
        asm volatile("syscall" : "+a"(number) : : "rcx", "r11", "memory");
    }));
    report("call and return", measure([] {
        asm volatile("call 1f\n jmp 2f\n 1: ret\n 2:" : : : "memory");
    }));
    report("popfq", measure([] { asm volatile("pushfq\n popfq" : : : "memory", "cc"); }));
    if (!has_pku()) {
        std::printf("no PKU here (or the operating system keeps it off): WRPKRU cannot be measured\n");
        return 0;
    }
    uint32_t pkru = read_pkru();
    report("a pair of WRPKRU", measure([pkru] {
        asm volatile("wrpkru\n wrpkru" : : "a"(pkru), "c"(0), "d"(0) : "memory");
    }));
    // mpk/stubs.S: open and compare, close and test.
    report("a pair of WRPKRU with the stubs' checks", measure([pkru] {
        asm volatile(
            "xorl %%ecx, %%ecx\n xorl %%edx, %%edx\n movl %0, %%eax\n wrpkru\n cmpl %0, %%eax\n jne 1f\n"
            "movl %0, %%eax\n xorl %%ecx, %%ecx\n xorl %%edx, %%edx\n wrpkru\n cmpl %0, %%eax\n 1:"
            : : "r"(pkru) : "rax", "rcx", "rdx", "memory", "cc");
    }));
    return 0;
}
