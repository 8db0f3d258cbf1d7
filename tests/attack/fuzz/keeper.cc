#include "keeper.h"

#include <errno.h>
#include <ftw.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

namespace fuzz {

namespace {

constexpr const char* kScratch = "/tmp/fuzz";
constexpr uint64_t kSecret = 0x5ec12e7c0ffee5ec;
constexpr unsigned kStalledMs = 8;
// Caches of names and slabs may fill up; a leak of one page in a thousand attempts shows in a long run.
constexpr long kSlackPages = 128;

int to_neighbour[2], from_neighbour[2];

// Answers each byte with one that says whether its secret is whole.
void neighbour() {
    static volatile uint64_t secret[512];
    for (auto& word : secret) word = kSecret;
    char byte;
    while (read(to_neighbour[0], &byte, 1) == 1) {
        bool whole = true;
        for (auto& word : secret) whole = whole && word == kSecret;
        byte = whole ? 'y' : 'n';
        if (write(from_neighbour[1], &byte, 1) != 1) break;
    }
    _exit(0);
}

bool neighbour_answers() {
    char byte = '?';
    if (write(to_neighbour[1], &byte, 1) != 1) return false;
    pollfd answer{from_neighbour[0], POLLIN, 0};
    if (poll(&answer, 1, 60'000) != 1) return false;
    return read(from_neighbour[0], &byte, 1) == 1 && byte == 'y';
}

int remove_entry(const char* path, const struct stat*, int, FTW*) {
    remove(path);
    return 0;
}

void empty_scratch() {
    nftw(kScratch, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    mkdir(kScratch, 0777);
    chmod(kScratch, 0777);
    shmid_ds segment;
    for (int index = 0; index < 64; index++) {
        int id = shmctl(index, SHM_STAT, &segment);
        if (id >= 0) shmctl(id, IPC_RMID, nullptr);
    }
}

long free_pages() {
    struct sysinfo info;
    sysinfo(&info);
    return static_cast<long>(info.freeram * info.mem_unit / 4096);
}

void sleep_ms(unsigned ms) {
    timespec time{0, static_cast<long>(ms) * 1'000'000};
    nanosleep(&time, nullptr);
}

void set_limit(int resource, uint64_t value) {
    rlimit limit{value, value};
    setrlimit(resource, &limit);
}

[[noreturn]] void worker(const Fuzzer& fuzzer, uint64_t seed, Progress& progress) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setsid();
    for (int fd = 0; fd < 64; fd++) close(fd);
    if (chdir(kScratch) != 0) _exit(1);
    set_limit(RLIMIT_AS, 192 << 20);
    set_limit(RLIMIT_FSIZE, 4 << 20);
    set_limit(RLIMIT_CORE, 0);
    // Every second one is nobody, whom the kernel must refuse more.
    if (seed % 2 == 1) {
        set_limit(RLIMIT_NPROC, 32);
        if (setgroups(0, nullptr) != 0 || setgid(65534) != 0 || setuid(65534) != 0) _exit(1);
    }
    fuzzer.work(seed, fuzzer.attempts_per_worker, progress);
    _exit(0);
}

// Waits for the worker's end, and makes one that hangs end. Orphans of workers are reaped too.
void wait_for(pid_t pid, const Progress& progress) {
    uint64_t last = 0;
    unsigned quiet = 0;
    for (;;) {
        int status;
        pid_t ended = waitpid(-1, &status, WNOHANG | __WALL);
        if (ended == pid) return;
        if (ended > 0) continue;
        sleep_ms(1);
        uint64_t now = progress.attempts;
        quiet = now == last ? quiet + 1 : 0;
        last = now;
        if (quiet >= kStalledMs) kill(pid, SIGKILL);
    }
}

}  // namespace

uint64_t wild_address(Random& random) {
    static const uint64_t kBases[] = {
        0, 1, 0xfff, 0x1000, 0x10000, 0x7fffffffe000, 0x7ffffffff000, 0x7fffffffffff, 0x800000000000,
        0xffff7fffffffffff, 0xffff800000000000, 0xffff800000100000, 0xffffc00000000000, 0xfffffe8000000000,
        0xffffff0000000000, 0xffffff0000001000, 0xffffff0000010000, 0xffffff0000012000, 0xffffff0000014000,
        0xffffffff80100000, 0xffffffff80200000, 0xffffffffff600000, 0xfffffffffffff000, 0xffffffffffffffff};
    switch (random.below(5)) {
        case 0: return random.next();
        case 1: return random.next() >> 17;                          // anywhere a program may map
        case 2: return 0xffff800000000000 | random.next() >> 17;     // anywhere in the kernel's half
        case 3: return kBases[random.below(sizeof(kBases) / 8)] - random.below(32);
        default: return kBases[random.below(sizeof(kBases) / 8)] + random.below(1 << random.below(22));
    }
}

int run(const Fuzzer& fuzzer, int argc, char** argv) {
    setvbuf(stdout, nullptr, _IONBF, 0);
    if (argc != 3) {
        fprintf(stderr, "usage: %s SEED COUNT\n", argv[0]);
        return 2;
    }
    uint64_t seed = strtoull(argv[1], nullptr, 0), wanted = strtoull(argv[2], nullptr, 0);
    auto progress = static_cast<Progress*>(
        mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    signal(SIGPIPE, SIG_IGN);
    if (pipe(to_neighbour) != 0 || pipe(from_neighbour) != 0) return 2;
    pid_t other = fork();
    if (other == 0) neighbour();

    uint64_t total = 0, workers = 0, measured_at = 0;
    long before = 0;
    while (total < wanted) {
        printf("seed %llu\n", static_cast<unsigned long long>(seed));
        empty_scratch();
        progress->attempts = 0;
        progress->breaches = 0;
        pid_t pid = fork();
        if (pid == 0) worker(fuzzer, seed, *progress);
        if (pid < 0) {
            printf("fork: %s\n", strerror(errno));
            return 1;
        }
        wait_for(pid, *progress);
        uint64_t made = progress->attempts;
        total += made < fuzzer.attempts_per_worker ? made : fuzzer.attempts_per_worker;
        if (progress->breaches == kBreach) {
            printf("seed %llu: a breach\n", static_cast<unsigned long long>(seed));
            return 1;
        }
        workers++;
        seed++;
        if (!neighbour_answers()) {
            printf("the neighbour does not answer, or its secret is damaged\n");
            return 1;
        }
        // Caches have filled up by then.
        if (measured_at == 0 && total >= wanted / 4) {
            measured_at = total;
            empty_scratch();
            before = free_pages();
        }
    }
    empty_scratch();
    while (waitpid(-1, nullptr, WNOHANG | __WALL) > 0) {}
    long lost = before - free_pages();
    printf("%llu %s by %llu workers; %ld pages fewer are free than after %llu\n",
           static_cast<unsigned long long>(total), fuzzer.name, static_cast<unsigned long long>(workers), lost,
           static_cast<unsigned long long>(measured_at));
    if (lost > kSlackPages) {
        printf("memory leaks\n");
        return 1;
    }
    kill(other, SIGKILL);
    printf("survived\n");
    return 0;
}

}  // namespace fuzz
