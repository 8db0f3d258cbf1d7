// Page tables under fork from several threads, while others fault, protect, move and unmap, another process leaves
// next to no memory free, and allocations fail: every page carries a checksum, so that a page of another process, a lost
// or a torn one is noticed. STRESS_FORKS=n sets the number of forks (1,320: four kinds of runs make 5,000 of it).
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>

#include "forks.h"

static const size_t kPage = 4096, kLeaf = 512 * kPage, kPages = 3 * 512;

// The first words of a page. `busy` while its writer is at work: a fork may come in between.
struct Stamp {
    uint64_t page, version, sum, busy;
};

static ForkTotals* totals;
static char* memory;
static volatile bool stop;

static uint64_t sum_of(uint64_t page, uint64_t version) { return (page * 0x9e3779b97f4a7c15 ^ version) * 0xff51afd7ed558ccd; }
static volatile Stamp* stamp(size_t page) { return (volatile Stamp*)(memory + page * kPage); }

static void write_stamp(size_t page, uint64_t version) {
    volatile Stamp* at = stamp(page);
    at->busy = 1;
    at->page = page;
    at->version = version;
    at->sum = sum_of(page, version);
    at->busy = 0;
}

// Versions of one family lie in [low, high).
static bool is_right(size_t page, uint64_t low, uint64_t high) {
    volatile Stamp* at = stamp(page);
    if (at->busy) return true;
    uint64_t version = at->version;
    return at->page == page && at->sum == sum_of(page, version) && version >= low && version < high;
}

static unsigned next_random(unsigned& state) { return state = state * 1664525u + 1013904223u, state >> 8; }

// What the kernel's option test_fail_allocation goes by (docs/boot-protocol.md); on Linux just a name.
static void let_allocations_fail(bool fail) { prctl(PR_SET_NAME, fail ? "no-memory" : "stress_tables"); }
static bool allocations_can_fail() {
    char words[4096] = "";
    int fd = open("/proc/cmdline", O_RDONLY);
    read(fd, words, sizeof words - 1);
    close(fd);
    return strstr(words, "test_fail_allocation=") != nullptr;
}

static const uint64_t kParents = 1ull << 40;  // versions of the parent lie below, those of children above

// What a child does with its memory; 0 if all is right.
static int child_life(unsigned seed, bool has_grandchild) {
    for (size_t page = seed % 8; page < kPages; page += 8)
        if (!is_right(page, 1, kParents)) return 1;
    size_t first = next_random(seed) % (kPages - 600), count = 1 + next_random(seed) % 600;
    char* start = memory + first * kPage;
    switch (seed >> 3 & 3) {
        case 0:
            if (munmap(start, count * kPage) != 0) return 0;  // no memory to cut a table: nothing has changed
            if (mmap(start, count * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
                MAP_FAILED)
                return 0;
            if (stamp(first)->sum != 0) return 2;
            break;
        case 1:
            if (mprotect(start, count * kPage, PROT_READ) != 0) return 0;
            if (!is_right(first, 1, kParents)) return 3;
            if (mprotect(start, count * kPage, PROT_READ | PROT_WRITE) != 0) return 0;
            break;
        case 2:
            if (madvise(start, count * kPage, MADV_DONTNEED) == 0 && stamp(first)->version != 0) return 4;
            break;
        default: break;
    }
    for (int i = 0; i < 8; i++) {
        size_t page = next_random(seed) % kPages;
        write_stamp(page, kParents + seed);
        if (!is_right(page, kParents, ~0ull)) return 5;
        if (has_grandchild && i == 4) {
            pid_t pid = fork();
            if (pid == 0) {
                bool right = is_right(page, kParents, ~0ull);
                write_stamp(page, 2 * kParents + seed);
                _exit(right ? 0 : 6);
            }
            if (pid > 0 && status_of(pid) != 0) return 7;
            if (!is_right(page, kParents, ~0ull) || stamp(page)->version >= 2 * kParents) return 8;
        }
    }
    return 0;
}

struct Forker {
    int forks;
    unsigned seed;
};

static void* fork_again_and_again(void* argument) {
    Forker forker = *(Forker*)argument;
    let_allocations_fail(true);
    for (int done = 0; done < forker.forks;) {
        unsigned seed = next_random(forker.seed);
        done += fork_and_count(totals, 0, [&] { return child_life(seed, done % 8 == 0); });
    }
    let_allocations_fail(false);
    return nullptr;
}

// Writes to pages of the whole area; nobody else of this process does.
static void* write_on(void*) {
    unsigned seed = 5;
    let_allocations_fail(true);
    for (uint64_t version = 2; !stop; version++) {
        size_t page = next_random(seed) % kPages;
        if (!is_right(page, 1, kParents)) add_one(totals->wrong_memory);
        write_stamp(page, version);
        if (version % 64 == 0) sched_yield();
    }
    let_allocations_fail(false);
    return nullptr;
}

// Maps, fills, protects, moves and unmaps in the same leaf tables' neighbourhood.
static void* map_on(void*) {
    let_allocations_fail(true);
    for (unsigned i = 0; !stop; i++) {
        const size_t size = 24 * kPage;
        char* at = (char*)mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (at == MAP_FAILED) continue;
        memset(at, (int)i, size);
        mprotect(at, 8 * kPage, PROT_READ);
        char* moved = (char*)mremap(at, size, 2 * size, MREMAP_MAYMOVE);
        if (moved == MAP_FAILED) moved = at;
        for (size_t offset = 0; offset < size; offset += kPage)
            if (moved[offset] != (char)i) add_one(totals->wrong_memory);
        while (munmap(moved, moved == at ? size : 2 * size) != 0) sched_yield();
        sched_yield();
    }
    let_allocations_fail(false);
    return nullptr;
}

static void set_oom_score_adjustment(const char* value) {
    int fd = open("/proc/self/oom_score_adj", O_WRONLY);
    write(fd, value, strlen(value));
    close(fd);
}

// Takes what is free but for half a MiB and gives some of it back, again and again.
static int eat_memory(const volatile bool* over) {
    const size_t most = 256 << 20, bite = 16 * kPage, rest = 256 * kPage;
    char* area = (char*)mmap(nullptr, most, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    for (size_t eaten = 0; !*over;) {
        for (; eaten < most && free_kib() > 512; eaten += bite)
            for (size_t page = 0; page < bite; page += kPage) area[eaten + page] = 1;
        sleep_ms(1);
        if (eaten < rest) continue;
        eaten -= rest;
        madvise(area + eaten, rest, MADV_DONTNEED);
        sleep_ms(3);
    }
    return 0;
}

// Keeps memory short until it is over. Where memory ends the kernel kills who eats it, and another one begins.
static int keep_memory_short(const volatile bool* over) {
    set_oom_score_adjustment("1000");
    while (!*over) {
        pid_t eater = fork();
        if (eater == 0) _exit(eat_memory(over));
        if (eater > 0) waitpid(eater, nullptr, 0);
        else sleep_ms(10);
    }
    return 0;
}

// The process that is put under stress: `forks` in so many rounds, each with two threads that fork.
static int fork_beside_changes(int forks, int rounds) {
    set_oom_score_adjustment("-1000");
    char* area = (char*)MUST(mmap(nullptr, kPages * kPage + kLeaf, PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    memory = (char*)(((uintptr_t)area + kLeaf - 1) & ~(kLeaf - 1));
    for (size_t page = 0; page < kPages; page++) write_stamp(page, 1);
    auto start = [](void* (*run)(void*), void* argument) {
        pthread_t thread;
        while (pthread_create(&thread, nullptr, run, argument) != 0) sleep_ms(1);
        return thread;
    };
    pthread_t writer = start(write_on, nullptr), mapper = start(map_on, nullptr);
    for (int round = 1; round <= rounds; round++) {
        Forker forkers[2] = {{forks / rounds / 2, 2u * round}, {forks / rounds / 2, 2u * round + 1}};
        pthread_t forking[2];
        for (int i = 0; i < 2; i++) forking[i] = start(fork_again_and_again, &forkers[i]);
        for (pthread_t thread : forking) pthread_join(thread, nullptr);
        if (rounds > 1) print("round %d\n", round);
    }
    stop = true;
    pthread_join(writer, nullptr);
    pthread_join(mapper, nullptr);
    for (size_t page = 0; page < kPages; page++)
        if (!is_right(page, 1, kParents)) add_one(totals->wrong_memory);
    return 0;
}

CASE_WITH_LIMIT(forks_beside_changes_of_tables, 14400) {
    alarm(14400);
    const char* count = getenv("STRESS_FORKS");
    const int forks = count ? atoi(count) : 1320, rounds = 20;  // `forks`: a multiple of 2 * rounds
    totals = make_fork_totals();
    auto* over = (volatile bool*)MUST(mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    // First a few, so that all caches are full before memory is counted.
    wait_for(spawn([] { return fork_beside_changes(40, 1); }));
    long before = free_kib();
    *totals = {};
    pid_t eater = spawn([over] { return keep_memory_short(over); });
    show_child("process", [=] { return fork_beside_changes(forks, rounds); });
    *over = true;
    print("memory was short until then: %s\n", decode_status(wait_for(eater)));
    print("all forks done: %s, wrong codes %d, wrong pages %d\n", totals->forks == forks ? "yes" : "no",
          totals->wrong_codes, totals->wrong_memory);
    if (allocations_can_fail() && totals->failed == 0) print("no allocation failed\n");
    show_memory_is_back(before);
}

// A file shrinks and grows while processes that share tables map it.
CASE_WITH_LIMIT(truncation_of_shared_tables, 120) {
    enter_scratch_directory();
    int fd = MUST(open("file", O_RDWR | O_CREAT, 0600));
    const size_t pages = 64;
    static char block[kPage];
    for (size_t i = 0; i < pages; i++) {
        memset(block, (int)i + 1, kPage);
        MUST(pwrite(fd, block, kPage, i * kPage));
    }
    auto* at = (volatile char*)MUST(mmap(nullptr, 2 * kLeaf, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    auto* own = (char*)MUST(mmap(nullptr, 256 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    memset(own, 7, 256 * kPage);
    for (size_t i = 0; i < pages; i += 2) at[i * kPage] = 99;
    for (size_t i = 1; i < pages; i += 2) (void)at[i * kPage];
    int ready[2], go[2];
    MUST(pipe(ready));
    MUST(pipe(go));
    char byte = 0;
    pid_t pids[3];
    for (int i = 0; i < 3; i++)
        pids[i] = spawn([&, i] {
            if (i == 1) own[0] = 8;      // has its own tables by now
            if (i == 2) at[10 * kPage] = 98;
            write(ready[1], &byte, 1);
            read(go[0], &byte, 1);
            if (at[6 * kPage] != 99 || at[7 * kPage] != 8) return 1;
            (void)at[20 * kPage];        // SIGBUS
            return 2;
        });
    for (int i = 0; i < 3; i++) read(ready[0], &byte, 1);
    MUST(ftruncate(fd, 8 * kPage));
    for (int i = 0; i < 3; i++) write(go[1], &byte, 1);
    for (pid_t pid : pids) print("child: %s\n", decode_status(wait_for(pid)));
    print("kept %d %d, own %d\n", at[6 * kPage], at[7 * kPage], own[0]);
}
