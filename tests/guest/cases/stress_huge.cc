// 2 MiB pages under several threads that touch, protect, unmap, give back and fork at the same time: every page carries
// a checksum, so that a page of another process, a lost or a torn one is noticed. STRESS_FORKS=n sets the number of
// forks.
#include <pthread.h>

#include "case.h"

static const size_t kPage = 4096, kHuge = 512 * kPage, kPages = 2 * 512;
static const int kWorkers = 3;

struct Totals {
    int forks, failed, wrong_pages, wrong_codes;
};

static Totals* totals;
static char* memory;  // kPages for each worker

static uint64_t sum_of(uint64_t page, uint64_t version) {
    return (page * 0x9e3779b97f4a7c15 ^ version) * 0xff51afd7ed558ccd;
}
static volatile uint64_t* words(int worker, size_t page) {
    return (volatile uint64_t*)(memory + (worker * kPages + page) * kPage) + page % 256 * 2;
}
static void write_page(int worker, size_t page, uint64_t version) {
    words(worker, page)[0] = version;
    words(worker, page)[1] = sum_of(worker * kPages + page, version);
}
// Either never written since it was mapped, or a version up to `newest` in one piece.
static bool is_right(int worker, size_t page, uint64_t newest) {
    uint64_t version = words(worker, page)[0], sum = words(worker, page)[1];
    return (version == 0 && sum == 0) || (version <= newest && sum == sum_of(worker * kPages + page, version));
}
static unsigned next_random(unsigned& state) { return state = state * 1664525u + 1013904223u, state >> 8; }

// Fills the part with one version; some of it comes fresh from the kernel.
static void renew(int worker, uint64_t version, unsigned& seed) {
    char* part = memory + worker * kPages * kPage;
    size_t half = next_random(seed) % 2 * kHuge;
    if (next_random(seed) % 2) {
        madvise(part + half, kHuge, MADV_DONTNEED);
    } else {
        mmap(part + half, kHuge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        madvise(part + half, kHuge, MADV_HUGEPAGE);
    }
    for (size_t page = 0; page < kPages; page++) write_page(worker, page, version);
}

// Changes a range of the worker's part; what it holds afterwards is right or zero.
static void change(int worker, unsigned& seed) {
    size_t first = next_random(seed) % kPages, count = 1 + next_random(seed) % (kPages - first);
    char* start = memory + (worker * kPages + first) * kPage;
    switch (next_random(seed) % 4) {
        case 0:
            if (mprotect(start, count * kPage, PROT_READ) == 0) mprotect(start, count * kPage, PROT_READ | PROT_WRITE);
            break;
        case 1: madvise(start, count * kPage, MADV_DONTNEED); break;
        case 2:
            if (munmap(start, count * kPage) == 0)
                mmap(start, count * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
            break;
        default: break;
    }
}

// The whole of the child's own worker's part, and a look at the others', which may be half changed.
static int child_life(int worker, uint64_t version, unsigned seed) {
    for (size_t page = 0; page < kPages; page++)
        if (words(worker, page)[0] != version || !is_right(worker, page, version)) return 1;
    for (int i = 0; i < 12; i++) {
        size_t page = next_random(seed) % kPages;
        write_page(worker, page, version + 1);
        if (words(worker, page)[0] != version + 1) return 2;
    }
    change(worker, seed);
    for (size_t page = 0; page < kPages; page++)
        if (!is_right(worker, page, version + 1)) return 3;
    return 0;
}

struct Work {
    int worker, forks;
};

static void* work(void* argument) {
    Work its = *(Work*)argument;
    unsigned seed = 77 + its.worker;
    uint64_t version = 0;
    for (int i = 0; i < its.forks; i++) {
        renew(its.worker, version += 2, seed);
        pid_t pid = fork();
        if (pid == 0) _exit(child_life(its.worker, version, seed));
        if (pid < 0) {
            __atomic_add_fetch(&totals->failed, 1, __ATOMIC_RELAXED);
            continue;
        }
        for (int n = 0; n < 12; n++) write_page(its.worker, next_random(seed) % kPages, version);
        if (i % 2) change(its.worker, seed);
        int status = 0;
        waitpid(pid, &status, 0);
        __atomic_add_fetch(&totals->forks, 1, __ATOMIC_RELAXED);
        if (status != 0) __atomic_add_fetch(&totals->wrong_codes, 1, __ATOMIC_RELAXED);
        for (size_t page = 0; page < kPages; page++)
            if (!is_right(its.worker, page, version)) __atomic_add_fetch(&totals->wrong_pages, 1, __ATOMIC_RELAXED);
    }
    return nullptr;
}

CASE_WITH_LIMIT(forks_beside_changes_of_huge_pages, 14400) {
    alarm(14400);
    const char* count = getenv("STRESS_FORKS");
    const int forks = (count ? atoi(count) : 90) / kWorkers;
    totals = (Totals*)MUST(mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    show_child("process", [forks] {
        char* area = (char*)MUST(mmap(nullptr, kWorkers * kPages * kPage + kHuge, PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        memory = (char*)(((uintptr_t)area + kHuge - 1) & ~(kHuge - 1));
        MUST(madvise(memory, kWorkers * kPages * kPage, MADV_HUGEPAGE));
        pthread_t threads[kWorkers];
        Work works[kWorkers];
        for (int i = 0; i < kWorkers; i++) {
            works[i] = {i, forks};
            pthread_create(&threads[i], nullptr, work, &works[i]);
        }
        for (pthread_t thread : threads) pthread_join(thread, nullptr);
        return 0;
    });
    print("all forks done: %s, wrong codes %d, wrong pages %d\n",
          totals->forks + totals->failed == forks * kWorkers ? "yes" : "no", totals->wrong_codes, totals->wrong_pages);
}
