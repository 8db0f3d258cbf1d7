// isobench: one static Linux binary that times single operations by the time-stamp counter and prints
// "row median" lines. Under QEMU's -icount shift=0 one tick is one instruction, the same on every run, as long
// as nothing idles inside a row.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

namespace isobench {

struct Row {
    Row(const char* name, void (*run)(const char* name));
    const char* name;
    void (*run)(const char* name);
    Row* next = nullptr;
};

inline uint64_t ticks() {
    uint32_t low, high;
    // SAFETY: reads a counter; the fence keeps earlier work from being counted late.
    asm volatile("lfence; rdtsc" : "=a"(low), "=d"(high)::"memory");
    return (uint64_t)high << 32 | low;
}

// Prints the median of `count` samples.
void print_median(const char* name, uint64_t* samples, int count);
void print_value(const char* name, double value);

// Ends the row with a message; the table shows it as missing.
[[noreturn]] void fail(const char* what);

// Ends the row because the root lacks what it needs.
[[noreturn]] void skip(const char* why);

// Runs `operation` count times after `warm_up` unmeasured runs, and prints the median.
template <typename Operation>
void measure(const char* name, int count, Operation&& operation, int warm_up = 5) {
    static uint64_t samples[4096];
    for (int i = -warm_up; i < count; i++) {
        uint64_t start = ticks();
        operation();
        uint64_t end = ticks();
        if (i >= 0) samples[i] = end - start;
    }
    print_median(name, samples, count);
}

// As measure(), for an operation that returns the ticks itself.
template <typename Operation>
void measure_returned(const char* name, int count, Operation&& operation, int warm_up = 3) {
    static uint64_t samples[4096];
    for (int i = -warm_up; i < count; i++) {
        uint64_t taken = operation();
        if (i >= 0) samples[i] = taken;
    }
    print_median(name, samples, count);
}

inline void check(bool right, const char* what) {
    if (!right) fail(what);
}

inline void wait_child(pid_t pid) {
    int status;
    check(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0, "child");
}

inline char* map_pages(size_t size, int advice) {
    void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(memory != MAP_FAILED, "mmap");
    madvise(memory, size, advice);
    return (char*)memory;
}

}  // namespace isobench

using namespace isobench;

// ROW(name) { ... measure(name, ...); }: every row runs in a child of its own.
#define ROW(id)                                              \
    static void row_##id(const char* name);                  \
    static isobench::Row registered_##id(#id, row_##id);     \
    static void row_##id(const char* name)
