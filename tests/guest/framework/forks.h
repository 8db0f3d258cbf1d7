// What tests with many forks have in common: how children are counted, and what memory is left.
#pragma once

#include "case.h"

namespace guest_test {

// In memory that all processes of a case share; counted with add_one().
struct ForkTotals {
    int forks, failed, wrong_codes, wrong_memory;
};
inline ForkTotals* make_fork_totals() {
    return (ForkTotals*)MUST(
        mmap(nullptr, sizeof(ForkTotals), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}
inline void add_one(int& count) { __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED); }

// Waits for a child, and again if there is no memory for the answer; it stays until that has arrived. -1: no such child.
inline int status_of(pid_t pid) {
    for (;;) {
        siginfo_t info;
        if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0) {
            waitpid(pid, nullptr, 0);
            return info.si_code == CLD_EXITED ? info.si_status << 8 : info.si_status;
        }
        if (errno != EFAULT && errno != EINTR) return -1;
    }
}

// One child that exits with body()'s result, which should be `code`. False if there is none: fork failed.
template <typename Body>
bool fork_and_count(ForkTotals* totals, int code, Body&& body) {
    pid_t pid = fork();
    if (pid == 0) _exit(body());
    if (pid < 0) return add_one(totals->failed), false;
    int status = status_of(pid);
    add_one(totals->forks);
    if (status != code << 8) add_one(totals->wrong_codes);
    return true;
}

// "MemFree" of /proc/meminfo.
long free_kib();
// Prints "memory is back" if less than 1 MiB fewer than `before` is free. What ended processes held is freed late.
void show_memory_is_back(long before);

}  // namespace guest_test
