// A program that makes code at run time while it has four other threads: one in a system call, one in a signal handler,
// two that run. All of them go on, in the ring that the program has by then, and all of them call the new code.
#include <atomic>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

namespace {

unsigned ring() {
    uint16_t cs;
    asm volatile("mov %%cs, %0" : "=r"(cs));
    return cs & 3;
}

std::atomic<unsigned> started{0};
std::atomic<int (*)()> code{nullptr};
std::atomic<bool> in_handler{false};
int ends[2];

struct Report {
    unsigned before = 9, after = 9, in_handler = 9;
    int answer = 0;
    bool registers_kept = false;
};
Report reports[4];

void finish(Report& report) {
    report.after = ring();
    report.answer = code.load()();
}

void* in_system_call(void*) {
    reports[0].before = ring();
    started++;
    char byte;
    if (read(ends[0], &byte, 1) == 1) finish(reports[0]);
    return nullptr;
}

void handler(int) {
    in_handler = true;
    while (!code.load()) {}
    reports[1].in_handler = ring();
    reports[1].answer = code.load()();
}

void* in_signal_handler(void*) {
    reports[1].before = ring();
    started++;
    // A value that lives in a register across the handler.
    uint64_t kept;
    asm volatile(
        "movabs $0x1122334455667788, %%r15\n"
        "1: mov %[flag], %%eax\n test %%eax, %%eax\n jz 1b\n"
        "mov %%r15, %[kept]\n"
        : [kept] "=r"(kept) : [flag] "m"(in_handler) : "rax", "r15", "memory");
    while (!code.load()) {}
    reports[1].registers_kept = kept == 0x1122334455667788;
    reports[1].after = ring();
    return nullptr;
}

void* running(void* which) {
    Report& report = reports[reinterpret_cast<uintptr_t>(which)];
    report.before = ring();
    started++;
    // SSE state and the red zone live on while the ring changes below this loop.
    double sum = 0, expected = 0;
    while (!code.load(std::memory_order_relaxed)) {
        sum += 0.5;
        expected += 0.5;
    }
    report.registers_kept = sum == expected;
    finish(report);
    return nullptr;
}

}  // namespace

int main() {
    setvbuf(stdout, nullptr, _IONBF, 0);
    if (pipe(ends) != 0) return 1;
    signal(SIGUSR1, handler);
    pthread_t threads[4];
    pthread_create(&threads[0], nullptr, in_system_call, nullptr);
    pthread_create(&threads[1], nullptr, in_signal_handler, nullptr);
    pthread_create(&threads[2], nullptr, running, reinterpret_cast<void*>(2));
    pthread_create(&threads[3], nullptr, running, reinterpret_cast<void*>(3));
    while (started < 4) usleep(1000);
    pthread_kill(threads[1], SIGUSR1);
    while (!in_handler) usleep(1000);
    usleep(20000);
    printf("main: ring %u\n", ring());
    void* page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    constexpr unsigned char kAnswer[] = {0xb8, 42, 0, 0, 0, 0xc3};
    memcpy(page, kAnswer, sizeof kAnswer);
    code = reinterpret_cast<int (*)()>(page);
    printf("main: ring %u, answer %d\n", ring(), code.load()());
    if (write(ends[1], "x", 1) != 1) return 1;
    for (pthread_t thread : threads) pthread_join(thread, nullptr);
    constexpr const char* kNames[] = {"in a system call", "in a handler", "running", "running too"};
    for (unsigned i = 0; i < 4; i++) {
        const Report& report = reports[i];
        printf("%s: ring %u, then %u, answer %d", kNames[i], report.before, report.after, report.answer);
        if (i == 1) printf(", in the handler %u", report.in_handler);
        if (i != 0) printf(", registers %s", report.registers_kept ? "kept" : "damaged");
        printf("\n");
    }
    return 0;
}
