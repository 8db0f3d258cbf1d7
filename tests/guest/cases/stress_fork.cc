// Many forks from several processes on all processors: exit codes, memory contents, and what memory is left.
#include <pthread.h>

#include "forks.h"

static const size_t kPage = 4096;

static unsigned checksum(const unsigned char* memory, size_t size) {
    unsigned sum = 1;
    for (size_t i = 0; i < size; i += 61) sum = sum * 16777619u ^ memory[i];
    return sum;
}

static ForkTotals* totals;

// `forks` children one after the other; each checks what it inherited, writes to it and exits with a code.
static void fork_loop(unsigned char* memory, size_t pages, int forks, unsigned seed) {
    for (int i = 0; i < forks; i++) {
        memory[(i * 37 % pages) * kPage + i % kPage] += (unsigned char)seed;
        unsigned expected = checksum(memory, pages * kPage);
        int code = (i * 7 + seed) & 127;
        fork_and_count(totals, code, [&] {
            if (checksum(memory, pages * kPage) != expected) return 200;
            for (size_t page = i & 3; page < pages; page += 4) memory[(page * kPage / 61 + 1) * 61] ^= 0xff;
            if ((i & 7) == 0) {  // a grandchild now and then
                pid_t inner = fork();
                if (inner == 0) _exit(checksum(memory, pages * kPage) == expected ? 201 : 3);
                int status;
                if (waitpid(inner, &status, 0) != inner || status != 3 << 8) return 202;
            }
            return code;
        });
        if (checksum(memory, pages * kPage) != expected) add_one(totals->wrong_memory);
    }
}

static unsigned char* filled(size_t pages, unsigned seed) {
    auto* memory = (unsigned char*)MUST(
        mmap(nullptr, pages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    for (size_t i = 0; i < pages * kPage; i++) memory[i] = (unsigned char)(i * seed + i / kPage);
    return memory;
}

static void run_stress(int processes, int forks_each) {
    totals = make_fork_totals();
    // A first round fills caches, so that the second starts from a steady state.
    auto round = [&](int forks) {
        *totals = {};
        pid_t pids[16];
        for (int i = 0; i < processes; i++)
            pids[i] = spawn([&] {
                unsigned char* memory = filled(64, 3 + 2 * i);
                fork_loop(memory, 64, forks, 11 + i);
                return 0;
            });
        int good = 0;
        for (int i = 0; i < processes; i++) good += wait_for(pids[i]) == 0;
        return good;
    };
    round(50);
    long before = free_kib();
    int good = round(forks_each);
    print("processes %d, forks %d, failed %d\n", good, totals->forks, totals->failed);
    print("wrong exit codes %d, wrong memory %d\n", totals->wrong_codes, totals->wrong_memory);
    show_memory_is_back(before);
}

CASE_WITH_LIMIT(ten_thousand_forks, 600) {
    COVERS(fork, wait4, exit_group);
    alarm(600);
    run_stress(4, getenv("STRESS_SHORT") ? 250 : 2500);
}

CASE_WITH_LIMIT(forks_while_threads_fault, 300) {
    // Threads of the parent touch, protect and unmap memory while the main thread forks.
    static volatile bool stop;
    static unsigned char* shared_memory;
    totals = make_fork_totals();
    show_child("process", [] {
        shared_memory = filled(128, 9);
        pthread_t threads[2];
        pthread_create(&threads[0], nullptr, [](void*) -> void* {
            for (unsigned i = 0; !stop; i++) {
                auto* page = (char*)mmap(nullptr, 8 * kPage, PROT_READ | PROT_WRITE,
                                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                memset(page, (int)i, 8 * kPage);
                mprotect(page, 4 * kPage, PROT_READ);
                for (int k = 0; k < 8; k++)
                    if (page[k * kPage] != (char)i) add_one(totals->wrong_memory);
                munmap(page, 8 * kPage);
            }
            return nullptr;
        }, nullptr);
        pthread_create(&threads[1], nullptr, [](void*) -> void* {
            for (unsigned i = 0; !stop; i++) {
                size_t page = 64 + i % 64;  // the upper half belongs to this thread
                shared_memory[page * kPage + 7] = (unsigned char)i;
                if (shared_memory[page * kPage + 7] != (unsigned char)i) add_one(totals->wrong_memory);
            }
            return nullptr;
        }, nullptr);
        fork_loop(shared_memory, 64, 100, 5);
        stop = true;
        for (pthread_t thread : threads) pthread_join(thread, nullptr);
        return 0;
    });
    print("forks %d, failed %d, wrong exit codes %d, wrong memory %d\n", totals->forks, totals->failed,
          totals->wrong_codes, totals->wrong_memory);
}

CASE_WITH_LIMIT(fork_bomb_is_bounded, 120) {
    // 200 children alive at once, all of them waiting, then all of them killed.
    static pid_t pids[200];
    int alive = 0;
    for (pid_t& pid : pids) {
        pid = fork();
        if (pid == 0) {
            for (;;) pause();
        }
        alive += pid > 0;
    }
    for (pid_t pid : pids) kill(pid, SIGKILL);
    int killed = 0;
    for (pid_t pid : pids) {
        int status = 0;
        killed += waitpid(pid, &status, 0) == pid && WIFSIGNALED(status);
    }
    print("alive %d, killed %d\n", alive, killed);
}

CASE_WITH_LIMIT(exec_storm, 300) {
    COVERS(execve);
    // Two processes execute small static programs again and again.
    pid_t pids[2];
    for (pid_t& pid : pids)
        pid = spawn([] {
            char path[512];
            snprintf(path, sizeof path, "%s/../helpers/exec_static", self_directory());
            int null = open("/dev/null", O_WRONLY), wrong = 0;
            for (int i = 0; i < 100; i++) {
                pid_t child = fork();
                if (child == 0) {
                    dup2(null, 1);
                    execl(path, "exec_static", "a", "b", nullptr);
                    _exit(99);
                }
                wrong += wait_for(child) != 3 << 8;
            }
            return wrong;
        });
    for (pid_t pid : pids) print("%s\n", decode_status(wait_for(pid)));
}
