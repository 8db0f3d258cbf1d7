// Processes and threads.
#include <pthread.h>
#include <spawn.h>
#include <time.h>

#include "bench.h"

static const char* beside(const char* program) {
    static char path[512];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 64);
    if (n <= 0) n = snprintf(path, sizeof path, "/bench/isobench");
    path[n] = 0;
    strcpy(strrchr(path, '/') + 1, program);
    return path;
}

ROW(getpid) {
    measure(name, 500, [] { syscall(SYS_getpid); });
}

ROW(clock_gettime) {
    timespec now;
    measure(name, 500, [&] { clock_gettime(CLOCK_MONOTONIC, &now); });
}

ROW(clock_gettime_syscall) {
    timespec now;
    measure(name, 500, [&] { syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now); });
}

static pid_t fork_and_exit() {
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    return pid;
}

static uint64_t time_fork_only() {
    uint64_t start = ticks();
    pid_t pid = fork_and_exit();
    uint64_t end = ticks();
    wait_child(pid);
    return end - start;
}

ROW(fork_exit_wait) {
    measure(name, 200, [] { wait_child(fork_and_exit()); });
}

ROW(fork_only_parent) { measure_returned(name, 200, time_fork_only); }

ROW(vfork_exit_wait) {
    measure(name, 200, [] {
        pid_t pid = vfork();
        if (pid == 0) _exit(0);
        wait_child(pid);
    });
}

static void vfork_exec(const char* name, const char* path) {
    char* arguments[] = {(char*)path, nullptr};
    measure(name, 100, [&] {
        pid_t pid = vfork();
        if (pid == 0) {
            execve(path, arguments, arguments + 1);
            _exit(1);
        }
        wait_child(pid);
    });
}

static void fork_exec(const char* name, const char* path) {
    char* arguments[] = {(char*)path, nullptr};
    measure(name, 100, [&] {
        pid_t pid = fork();
        if (pid == 0) {
            execve(path, arguments, arguments + 1);
            _exit(1);
        }
        wait_child(pid);
    });
}

static void spawn_exec(const char* name, const char* path) {
    char* arguments[] = {(char*)path, nullptr};
    measure(name, 100, [&] {
        pid_t pid = 0;
        check(posix_spawn(&pid, path, nullptr, nullptr, arguments, arguments + 1) == 0, "posix_spawn");
        wait_child(pid);
    });
}

ROW(vfork_exec_wait_tiny) { vfork_exec(name, beside("tiny")); }
ROW(vfork_exec_wait_glibcstatic) { vfork_exec(name, beside("nothing")); }
ROW(fork_exec_wait_tiny) { fork_exec(name, beside("tiny")); }
ROW(fork_exec_wait_glibcstatic) { fork_exec(name, beside("nothing")); }
ROW(posix_spawn_wait_tiny) { spawn_exec(name, beside("tiny")); }
ROW(posix_spawn_wait_glibcstatic) { spawn_exec(name, beside("nothing")); }

ROW(thread_create_join) {
    measure(name, 200, [] {
        pthread_t thread;
        check(pthread_create(&thread, nullptr, [](void*) -> void* { return nullptr; }, nullptr) == 0, "thread");
        pthread_join(thread, nullptr);
    });
}

// Fork of a process that has touched `mib` MiB, with 4 KiB or 2 MiB pages.
static void fork_sizes(const char* pages, size_t mib, int advice) {
    const size_t size = mib << 20;
    char name[64];
    // Aligned to 2 MiB, so that both kinds start alike.
    char* memory = map_pages(size + (2 << 20), advice);
    memory = (char*)(((uintptr_t)memory + (2 << 20) - 1) & ~(uintptr_t)((2 << 20) - 1));
    uint64_t start = ticks();
    for (size_t offset = 0; offset < size; offset += 4096) memory[offset] = 1;
    snprintf(name, sizeof name, "touch_%zuMiB_%s", mib, pages);
    print_value(name, (double)(ticks() - start) / (double)(size / 4096));
    const int count = mib >= 256 ? 5 : 15;
    snprintf(name, sizeof name, "fork_exit_wait_%zuMiB_%s", mib, pages);
    measure(name, count, [] { wait_child(fork_and_exit()); }, 1);
    snprintf(name, sizeof name, "fork_only_%zuMiB_%s", mib, pages);
    measure_returned(name, count, time_fork_only, 1);
}

ROW(fork_1MiB_4k) { (void)name, fork_sizes("4k", 1, MADV_NOHUGEPAGE); }
ROW(fork_16MiB_4k) { (void)name, fork_sizes("4k", 16, MADV_NOHUGEPAGE); }
ROW(fork_64MiB_4k) { (void)name, fork_sizes("4k", 64, MADV_NOHUGEPAGE); }
ROW(fork_256MiB_4k) { (void)name, fork_sizes("4k", 256, MADV_NOHUGEPAGE); }
ROW(fork_1024MiB_4k) { (void)name, fork_sizes("4k", 1024, MADV_NOHUGEPAGE); }
ROW(fork_16MiB_thp) { (void)name, fork_sizes("thp", 16, MADV_HUGEPAGE); }
ROW(fork_64MiB_thp) { (void)name, fork_sizes("thp", 64, MADV_HUGEPAGE); }
ROW(fork_256MiB_thp) { (void)name, fork_sizes("thp", 256, MADV_HUGEPAGE); }
ROW(fork_1024MiB_thp) { (void)name, fork_sizes("thp", 1024, MADV_HUGEPAGE); }

ROW(fork64MiB_write100pg) {
    const size_t size = 64 << 20;
    char* memory = map_pages(size, MADV_NOHUGEPAGE);
    memset(memory, 1, size);
    measure(name, 10, [&] {
        pid_t pid = fork();
        if (pid == 0) {
            for (int i = 0; i < 100; i++) memory[(size_t)i * (size / 100)] = 2;
            _exit(0);
        }
        wait_child(pid);
    }, 1);
}
