// Clocks, sleeping, timers.
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/timex.h>

#include "case.h"

CASE(clocks_run_forward) {
    COVERS(clock_gettime, clock_getres);
    COVERS_ERROR(clock_gettime, clock_getres);
    int clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE,
                    CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID};
    for (int clock : clocks) {
        timespec first, second, resolution;
        int result = syscall(SYS_clock_gettime, clock, &first);
        for (int i = 0; i < 1000; i++) clock_gettime(clock, &second);
        bool forward = second.tv_sec > first.tv_sec ||
                       (second.tv_sec == first.tv_sec && second.tv_nsec >= first.tv_nsec);
        print("clock %d: %d, forward %s, resolution %s\n", clock, result, forward ? "yes" : "no",
              clock_getres(clock, &resolution) == 0 ? "known" : errno_name(errno));
    }
    timespec now;
    SHOW(clock_gettime(99, &now));
    SHOW(clock_getres(99, &now));
    SHOW(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, bad_address()));
}

CASE(vdso_agrees_with_system_call) {
    COVERS(clock_gettime, gettimeofday, time);
    COVERS_ERROR(gettimeofday, time);
    auto ns = [](const timespec& t) { return t.tv_sec * 1000000000l + t.tv_nsec; };
    bool ordered = true;
    for (int i = 0; i < 200; i++) {
        timespec a, b, c;
        clock_gettime(CLOCK_MONOTONIC, &a);
        syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &b);
        clock_gettime(CLOCK_MONOTONIC, &c);
        ordered &= ns(a) <= ns(b) && ns(b) <= ns(c);
    }
    CHECK(ordered);
    timeval day, other;
    SHOW(gettimeofday(&day, nullptr));
    SHOW(syscall(SYS_gettimeofday, &other, nullptr));
    CHECK(other.tv_sec - day.tv_sec <= 1);
    CHECK(time(nullptr) - other.tv_sec <= 1);
    CHECK(syscall(SYS_time, nullptr) - other.tv_sec <= 1);
    SHOW(syscall(SYS_gettimeofday, bad_address(), nullptr));
    SHOW(syscall(SYS_time, bad_address()));
}

CASE(clock_is_same_on_all_processors) {
    auto ns = [] {
        timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return t.tv_sec * 1000000000l + t.tv_nsec;
    };
    auto* latest = (volatile long*)MUST(
        mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    int back = 0;
    pid_t pids[2];
    for (pid_t& pid : pids)
        pid = spawn([&] {
            int wrong = 0;
            for (int i = 0; i < 20000; i++) {
                long seen = *latest;
                long now = ns();
                wrong += now < seen;
                *latest = now;
            }
            return wrong > 100 ? 100 : wrong;
        });
    for (pid_t pid : pids) back += WEXITSTATUS(wait_for(pid));
    print("went back %d\n", back);
}

CASE(clock_nanosleep_modes) {
    COVERS(clock_nanosleep);
    COVERS_ERROR(clock_nanosleep);
    timespec rest = {0, 20000000};
    int64_t start = monotonic_ms();
    print("%d\n", clock_nanosleep(CLOCK_MONOTONIC, 0, &rest, nullptr));
    CHECK(monotonic_ms() - start >= 20);
    timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_nsec += 20000000;
    if (at.tv_nsec >= 1000000000) at.tv_sec++, at.tv_nsec -= 1000000000;
    print("%d\n", clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &at, nullptr));
    timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    CHECK(now.tv_sec > at.tv_sec || (now.tv_sec == at.tv_sec && now.tv_nsec >= at.tv_nsec));
    timespec past = {1, 0}, wrong = {0, 1000000000};
    print("%d\n", clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &past, nullptr));
    print("%s\n", errno_name(clock_nanosleep(CLOCK_MONOTONIC, 0, &wrong, nullptr)));
    print("%s\n", errno_name(clock_nanosleep(99, 0, &rest, nullptr)));
    print("%s\n", errno_name(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &rest, nullptr)));
    SHOW(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, bad_address(), nullptr));
}

CASE(posix_timer_signals) {
    COVERS(timer_create, timer_settime, timer_gettime, timer_getoverrun, timer_delete);
    COVERS_ERROR(timer_create, timer_settime, timer_gettime, timer_getoverrun, timer_delete);
    static volatile sig_atomic_t count, value;
    struct sigaction action = {};
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = [](int, siginfo_t* info, void*) {
        count = count + 1;
        if (info->si_code == SI_TIMER) value = info->si_value.sival_int;
    };
    sigaction(SIGUSR1, &action, nullptr);
    sigevent event = {};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGUSR1;
    event.sigev_value.sival_int = 31;
    timer_t timer;
    SHOW(timer_create(CLOCK_MONOTONIC, &event, &timer));
    itimerspec every = {{0, 10000000}, {0, 10000000}}, now;
    SHOW(timer_settime(timer, 0, &every, nullptr));
    while (count < 3) pause();
    print("value %d\n", (int)value);
    SHOW(timer_gettime(timer, &now));
    CHECK(now.it_interval.tv_nsec == 10000000);
    CHECK(timer_getoverrun(timer) >= 0);
    every.it_value.tv_nsec = 1000000000;
    SHOW(timer_settime(timer, 0, &every, nullptr));
    SHOW(timer_delete(timer));
    SHOW(timer_delete(timer));
    SHOW(timer_gettime(timer, &now));
    SHOW(timer_settime(timer, 0, &every, nullptr));
    SHOW(timer_getoverrun(timer));
    SHOW(timer_create(99, &event, &timer));
    event.sigev_signo = 1000;
    SHOW(timer_create(CLOCK_MONOTONIC, &event, &timer));
}

CASE(times_and_cpu_clocks) {
    COVERS(times);
    COVERS_ERROR(times);
    tms used;
    CHECK(times(&used) != -1);
    timespec before, after, wall_before, wall_after;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    clock_gettime(CLOCK_MONOTONIC, &wall_before);
    sleep_ms(100);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    clock_gettime(CLOCK_MONOTONIC, &wall_after);
    long slept = (after.tv_sec - before.tv_sec) * 1000000000l + after.tv_nsec - before.tv_nsec;
    CHECK(slept < 80000000);
    volatile long sum = 0;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    for (long i = 0; i < 10000000; i++) sum = sum + i;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    CHECK((after.tv_sec - before.tv_sec) * 1000000000l + after.tv_nsec - before.tv_nsec > 1000000);
    SHOW(syscall(SYS_times, bad_address()));
}

CASE(set_clock_errors) {
    COVERS_ERROR(clock_settime, settimeofday, adjtimex);
    timespec wrong = {0, -1};
    SHOW(clock_settime(CLOCK_REALTIME, &wrong));
    SHOW(clock_settime(CLOCK_MONOTONIC, &wrong));
    SHOW(syscall(SYS_settimeofday, bad_address(), nullptr));
    SHOW(syscall(SYS_adjtimex, bad_address()));
    timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    show_child("without privilege", [&] {
        MUST(setuid(1000));
        SHOW(clock_settime(CLOCK_REALTIME, &now));
        return 0;
    });
}

CASE(sleepers_wake_in_order) {
    int fds[2];
    MUST(pipe(fds));
    int delays[] = {900, 300, 600, 1200};  // far enough apart for a host that is busy
    for (int delay : delays)
        spawn([&] {
            sleep_ms(delay);
            char byte = (char)(delay / 300);
            return write(fds[1], &byte, 1) == 1 ? 0 : 1;
        });
    for (int i = 0; i < 4; i++) {
        char byte = 0;
        read(fds[0], &byte, 1);
        print("%d\n", byte);
    }
}
