// eventfd, timerfd, signalfd, pidfd: descriptors that carry events.
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include "case.h"

CASE(eventfd_counts) {
    COVERS(eventfd2, eventfd, read, write);
    int fd = MUST(eventfd(3, EFD_NONBLOCK | EFD_CLOEXEC));
    uint64_t value = 4;
    SHOW(write(fd, &value, 8));
    SHOW(read(fd, &value, 8));
    print("value %lu\n", (unsigned long)value);
    SHOW(read(fd, &value, 8));
    value = UINT64_MAX - 1;
    SHOW(write(fd, &value, 8));
    value = 1;
    SHOW(write(fd, &value, 8));
    SHOW_OK(syscall(SYS_eventfd, 0));
}

CASE(eventfd_errors) {
    COVERS_ERROR(eventfd2, read, write);
    SHOW(eventfd(0, 0x4));
    int fd = MUST(eventfd(0, EFD_NONBLOCK));
    uint64_t value = UINT64_MAX;
    SHOW(write(fd, &value, 8));
    SHOW(write(fd, &value, 4));
    SHOW(read(fd, &value, 4));
    SHOW(lseek(fd, 0, SEEK_SET));
    SHOW(write(fd, bad_address(), 8));
}

CASE(eventfd_semaphore) {
    COVERS(eventfd2);
    int fd = MUST(eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK));
    uint64_t value;
    for (int i = 0; i < 3; i++) {
        ssize_t n = read(fd, &value, 8);
        print("%zd %lu\n", n, n == 8 ? (unsigned long)value : 0);
    }
}

CASE(eventfd_blocks_and_wakes) {
    int fd = MUST(eventfd(0, 0));
    pid_t pid = spawn([&] {
        sleep_ms(30);
        return eventfd_write(fd, 9);
    });
    uint64_t value;
    SHOW(read(fd, &value, 8));
    print("value %lu\n", (unsigned long)value);
    wait_for(pid);
}

CASE(timerfd_counts_expirations) {
    COVERS(timerfd_create, timerfd_settime, timerfd_gettime);
    int fd = MUST(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
    itimerspec every = {{0, 10000000}, {0, 10000000}}, now;
    SHOW(timerfd_settime(fd, 0, &every, nullptr));
    sleep_ms(100);
    uint64_t count;
    SHOW(read(fd, &count, 8));
    CHECK(count >= 9);
    SHOW(timerfd_gettime(fd, &now));
    CHECK(now.it_interval.tv_nsec == 10000000);
    CHECK(now.it_value.tv_nsec <= 10000000);
    itimerspec off = {};
    SHOW(timerfd_settime(fd, 0, &off, &now));
    CHECK(now.it_interval.tv_nsec == 10000000);
    SHOW(timerfd_gettime(fd, &now));
    print("%ld %ld\n", (long)now.it_value.tv_sec, now.it_value.tv_nsec);
}

CASE(timerfd_one_shot_and_poll) {
    COVERS(timerfd_settime);
    int fd = MUST(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    uint64_t count = 0;
    SHOW(read(fd, &count, 8));
    itimerspec once = {{0, 0}, {0, 30000000}};
    MUST(timerfd_settime(fd, 0, &once, nullptr));
    pollfd set = {fd, POLLIN, 0};
    SHOW(poll(&set, 1, 0));
    SHOW(poll(&set, 1, 5000));
    SHOW(read(fd, &count, 8));
    print("count %lu\n", (unsigned long)count);
    SHOW(read(fd, &count, 8));
}

CASE(timerfd_absolute) {
    COVERS(timerfd_settime);
    int clocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME};
    for (int clock : clocks) {
        int fd = MUST(timerfd_create(clock, 0));
        itimerspec at = {};
        MUST(clock_gettime(clock, &at.it_value));
        at.it_value.tv_nsec += 20000000;
        if (at.it_value.tv_nsec >= 1000000000) at.it_value.tv_sec++, at.it_value.tv_nsec -= 1000000000;
        MUST(timerfd_settime(fd, TFD_TIMER_ABSTIME, &at, nullptr));
        uint64_t count = 0;
        SHOW(read(fd, &count, 8));
        print("count %lu\n", (unsigned long)count);
        at.it_value = {1, 0};  // in the past: at once
        MUST(timerfd_settime(fd, TFD_TIMER_ABSTIME, &at, nullptr));
        SHOW(read(fd, &count, 8));
    }
}

CASE(timerfd_errors) {
    COVERS_ERROR(timerfd_create, timerfd_settime, timerfd_gettime);
    SHOW(timerfd_create(99, 0));
    SHOW(timerfd_create(CLOCK_MONOTONIC, 0x1));
    int fd = MUST(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    itimerspec wrong = {{0, 0}, {0, 1000000000}}, now = {};
    SHOW(timerfd_settime(fd, 0, &wrong, nullptr));
    SHOW(timerfd_settime(fd, 0x10, &wrong, nullptr));
    SHOW(timerfd_settime(0, 0, &now, nullptr));
    SHOW(timerfd_settime(-1, 0, &now, nullptr));
    SHOW(timerfd_gettime(-1, &now));
    SHOW(syscall(SYS_timerfd_gettime, fd, bad_address()));
    SHOW(syscall(SYS_timerfd_settime, fd, 0, bad_address(), 0));
    uint64_t count;
    SHOW(read(fd, &count, 4));
    SHOW(write(fd, &count, 8));
}

CASE(signalfd_reads_signals) {
    COVERS(signalfd4, signalfd);
    COVERS_ERROR(signalfd4);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    int fd = MUST(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
    signalfd_siginfo info;
    SHOW(read(fd, &info, sizeof info));
    sigval value;
    value.sival_int = 55;
    MUST(sigqueue(getpid(), SIGUSR1, value));
    pollfd ready = {fd, POLLIN, 0};
    SHOW(poll(&ready, 1, 0));
    SHOW(read(fd, &info, sizeof info));
    print("%s value %d\n", signal_name(info.ssi_signo), info.ssi_int);
    CHECK(info.ssi_pid == (unsigned)getpid());
    pid_t pid = spawn([] { return 6; });
    SHOW(poll(&ready, 1, 5000));
    SHOW(read(fd, &info, sizeof info));
    print("%s status %d\n", signal_name(info.ssi_signo), info.ssi_status);
    CHECK(info.ssi_pid == (unsigned)pid);
    wait_for(pid);
    SHOW(read(fd, &info, 10));
    SHOW(signalfd(-1, &set, 0x1));
    SHOW(signalfd(999, &set, 0));
    SHOW(signalfd(0, &set, 0));
    sigdelset(&set, SIGUSR1);
    CHECK(signalfd(fd, &set, 0) == fd);
    kill(getpid(), SIGUSR1);
    SHOW(read(fd, &info, sizeof info));
    SHOW_OK(syscall(SYS_signalfd, -1, &set, 8));
    SHOW(syscall(SYS_signalfd4, -1, &set, 4, 0));
}

CASE(signalfd_blocks_until_signal) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    int fd = MUST(signalfd(-1, &set, 0));
    pid_t parent = getpid();
    pid_t pid = spawn([=] {
        sleep_ms(30);
        return kill(parent, SIGUSR2);
    });
    signalfd_siginfo info;
    SHOW(read(fd, &info, sizeof info));
    print("%s\n", signal_name(info.ssi_signo));
    wait_for(pid);
}

CASE(event_files_survive_fork) {
    int event = MUST(eventfd(0, 0)), timer = MUST(timerfd_create(CLOCK_MONOTONIC, 0));
    itimerspec once = {{0, 0}, {0, 20000000}};
    MUST(timerfd_settime(timer, 0, &once, nullptr));
    show_child("child", [&] {
        uint64_t value;
        ssize_t n = read(timer, &value, 8);
        eventfd_write(event, 40 + n);
        return 0;
    });
    uint64_t value = 0;
    SHOW(read(event, &value, 8));
    print("value %lu\n", (unsigned long)value);
}

static int pidfd_of(pid_t pid, unsigned flags) { return syscall(SYS_pidfd_open, pid, flags); }

CASE(pidfd_polls_exit) {
    COVERS(pidfd_open, pidfd_send_signal, waitid);
    COVERS_ERROR(pidfd_open, pidfd_send_signal);
    pid_t pid = spawn([] {
        for (;;) pause();
        return 0;
    });
    int fd = MUST(pidfd_of(pid, 0));
    pollfd ready = {fd, POLLIN, 0};
    SHOW(poll(&ready, 1, 0));
    SHOW(syscall(SYS_pidfd_send_signal, fd, SIGKILL, nullptr, 0));
    SHOW(poll(&ready, 1, 5000));
    siginfo_t info = {};
    SHOW(waitid(P_PIDFD, fd, &info, WEXITED));
    print("%s\n", signal_name(info.si_status));
    SHOW(syscall(SYS_pidfd_send_signal, fd, SIGKILL, nullptr, 0));
    SHOW(syscall(SYS_pidfd_send_signal, -1, SIGKILL, nullptr, 0));
    SHOW(pidfd_of(999999, 0));
    SHOW(pidfd_of(-1, 0));
    SHOW(pidfd_of(getpid(), 1));
}

// /proc/PID as a directory stands for its process too (pidfd_send_signal(2)); it once was EBADF.
CASE(signal_through_process_directory) {
    COVERS(pidfd_send_signal);
    COVERS_ERROR(pidfd_send_signal);
    pid_t pid = spawn([] {
        for (;;) pause();
        return 0;
    });
    char path[64];
    snprintf(path, sizeof path, "/proc/%d", pid);
    int fd = MUST(open(path, O_RDONLY | O_DIRECTORY));
    int place = MUST(open(path, O_PATH));
    snprintf(path, sizeof path, "/proc/%d/task/%d", pid, pid);
    int thread = MUST(open(path, O_RDONLY | O_DIRECTORY));
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    int file = MUST(open(path, O_RDONLY));
    int proc = MUST(open("/proc", O_RDONLY | O_DIRECTORY)), self = MUST(open("/proc/self", O_RDONLY | O_DIRECTORY));
    SHOW(syscall(SYS_pidfd_send_signal, fd, 0, nullptr, 0));
    SHOW(syscall(SYS_pidfd_send_signal, self, 0, nullptr, 0));
    SHOW(syscall(SYS_pidfd_send_signal, place, 0, nullptr, 0));
    SHOW(syscall(SYS_pidfd_send_signal, thread, 0, nullptr, 0));
    SHOW(syscall(SYS_pidfd_send_signal, file, 0, nullptr, 0));
    SHOW(syscall(SYS_pidfd_send_signal, proc, 0, nullptr, 0));
    SHOW(syscall(SYS_pidfd_send_signal, fd, SIGKILL, nullptr, 1));
    SHOW(syscall(SYS_pidfd_send_signal, fd, 100, nullptr, 0));
    siginfo_t info;
    SHOW(waitid((idtype_t)3 /* P_PIDFD */, fd, &info, WEXITED | WNOHANG));
    SHOW(syscall(SYS_pidfd_send_signal, fd, SIGTERM, nullptr, 0));
    print("%s\n", decode_status(wait_for(pid)));
    SHOW(syscall(SYS_pidfd_send_signal, fd, SIGTERM, nullptr, 0));
}
