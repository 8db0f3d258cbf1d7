// red_zone TICKS [CALLS [hold]]: a leaf function keeps data in its red zone, alone and around an inlined `syscall` (CALLS
// in a million rounds), while the program is interrupted TICKS times (test_tick_hz; counted by the kernel as entries), and
// with `hold` until its input ends. Prints "started", and what became of the data.
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

namespace {

uint64_t entries() {
    char text[4096] = {};
    FILE* file = fopen("/proc/self/status", "r");
    if (!file) return 0;
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    const char* line = size ? strstr(text, "Isolation-entries:") : nullptr;
    unsigned long mpk = 0, ring3 = 0, none = 0;
    if (line) sscanf(line, "Isolation-entries:\tmpk %lu ring3 %lu none %lu", &mpk, &ring3, &none);
    return mpk + ring3 + none;
}

// Nothing is written there: only its end makes it readable.
bool input_ended() {
    pollfd input{0, POLLIN, 0};
    return poll(&input, 1, 0) != 0;
}

// Rounds in which a word of the red zone or a register changed.
__attribute__((noinline)) uint64_t spin(uint64_t rounds, uint64_t calls) {
    uint64_t bad;
    asm volatile(
        "movabs $0x1122334455667788, %%r8\n"
        "mov %%r8, -8(%%rsp)\n mov %%r8, -64(%%rsp)\n mov %%r8, -128(%%rsp)\n"
        "xor %%r9d, %%r9d\n mov $0x105, %%r10d\n mov $0x106, %%edx\n"
        "1: test %[calls], %[calls]\n jz 2f\n mov $39, %%eax\n syscall\n dec %[calls]\n"
        "2: cmp %%r8, -8(%%rsp)\n jne 3f\n cmp %%r8, -64(%%rsp)\n jne 3f\n cmp %%r8, -128(%%rsp)\n jne 3f\n"
        "cmp $0x105, %%r10d\n jne 3f\n cmp $0x106, %%edx\n jne 3f\n"
        "dec %[rounds]\n jnz 1b\n jmp 4f\n"
        "3: inc %%r9\n"
        "4: mov %%r9, %[bad]\n"
        : [bad] "=r"(bad), [rounds] "+r"(rounds), [calls] "+r"(calls)
        : : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "memory", "cc");
    return bad;
}

}  // namespace

int main(int count, char** arguments) {
    const uint64_t wanted = count > 1 ? strtoull(arguments[1], nullptr, 10) : 20000;
    const uint64_t calls_a_round = count > 2 ? strtoull(arguments[2], nullptr, 10) : 100000;
    const bool hold = count > 3;
    uint64_t bad = 0, calls = 0;
    puts("started");
    fflush(stdout);
    uint64_t start = entries();
    if (start == 0) return puts("the kernel does not count entries"), 1;
    while (bad == 0 && (entries() - start - calls < wanted || (hold && !input_ended()))) {
        bad = spin(1000000, calls_a_round);
        calls += calls_a_round + 9;  // and what entries() and input_ended() call, at most
    }
    printf("red zone through %lu ticks: %s\n", (unsigned long)wanted, bad == 0 ? "kept" : "damaged");
    return bad != 0;
}
