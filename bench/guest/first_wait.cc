// Preloaded into nginx, unchanged otherwise: a worker that for the first time waits for whatever comes, with the
// listening socket in its set, prints the time-stamp counter; the master ends when nothing more happens.
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

// nginx tries epoll out with one event before it takes it into use.
extern "C" int epoll_wait(int epoll, epoll_event* events, int count, int timeout) {
    static bool said;
    if (!said && count > 1) {
        said = true;
        const unsigned long long now = __builtin_ia32_rdtsc();
        char text[64];
        const int length = snprintf(text, sizeof text, "boot_to_nginx_waits %llu\n", now);
        if (write(STDOUT_FILENO, text, (size_t)length) != length) _exit(1);
    }
    return (int)syscall(SYS_epoll_wait, epoll, events, count, timeout);
}

// Where the master waits for signals, once its workers are started. A worker runs as another user and cannot end it.
extern "C" int sigsuspend(const sigset_t* mask) {
    static bool waited;
    if (waited) _exit(0);
    waited = true;
    const itimerval soon = {{0, 0}, {1, 0}};
    setitimer(ITIMER_REAL, &soon, nullptr);
    return (int)syscall(SYS_rt_sigsuspend, mask, 8);
}
