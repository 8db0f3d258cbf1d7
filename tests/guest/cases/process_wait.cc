// wait4, waitid, process groups and sessions.
#include <sys/prctl.h>
#include <sys/resource.h>

#include "case.h"

CASE(wait_any_child) {
    COVERS(wait4);
    spawn([] { return 1; });
    int status = 0;
    CHECK(wait(&status) > 0);
    print("%s\n", decode_status(status));
    SHOW(wait(&status));
}

CASE(wait_errors) {
    COVERS_ERROR(wait4);
    SHOW(waitpid(-1, nullptr, 0));
    SHOW(waitpid(1, nullptr, 0));
    SHOW(waitpid(getpid(), nullptr, 0));
    SHOW(waitpid(-1, nullptr, 0x40));
    SHOW(syscall(SYS_wait4, INT32_MIN, 0, 0, 0));
    pid_t pid = spawn([] { return 0; });
    SHOW(syscall(SYS_wait4, pid, bad_address(), 0, 0));
    SHOW(waitpid(pid, nullptr, 0));
}

CASE(wait_nohang) {
    COVERS(wait4);
    Turn go;
    pid_t pid = spawn([&] {
        go.wait();
        return 3;
    });
    int status = 0;
    SHOW(waitpid(pid, &status, WNOHANG));
    go.signal();
    print("%s\n", decode_status(wait_for(pid)));
    SHOW(waitpid(pid, &status, WNOHANG));
}

CASE(wait_reports_killing_signal) {
    COVERS(kill);
    int signals[] = {SIGKILL, SIGTERM, SIGSEGV, SIGUSR1, SIGPIPE, SIGHUP};
    for (int signal : signals) {
        pid_t pid = spawn([] {
            for (;;) pause();
            return 0;
        });
        MUST(kill(pid, signal));
        int status = wait_for(pid);
        print("%s\n", decode_status(status));
    }
}

CASE(wait_stopped_and_continued) {
    COVERS(wait4, kill);
    pid_t pid = spawn([] {
        for (;;) pause();
        return 0;
    });
    int status;
    MUST(kill(pid, SIGSTOP));
    CHECK(waitpid(pid, &status, WUNTRACED) == pid);
    print("%s\n", decode_status(status));
    SHOW(waitpid(pid, &status, WNOHANG | WUNTRACED));
    MUST(kill(pid, SIGCONT));
    CHECK(waitpid(pid, &status, WCONTINUED) == pid);
    print("%s\n", decode_status(status));
    MUST(kill(pid, SIGTERM));
    CHECK(waitpid(pid, &status, 0) == pid);
    print("%s\n", decode_status(status));
}

CASE(stopped_process_can_be_killed) {
    pid_t pid = spawn([] {
        raise(SIGSTOP);
        return 0;
    });
    int status;
    CHECK(waitpid(pid, &status, WUNTRACED) == pid);
    print("%s\n", decode_status(status));
    kill(pid, SIGTERM);  // stays pending while stopped
    sleep_ms(30);
    SHOW(waitpid(pid, &status, WNOHANG));
    kill(pid, SIGKILL);
    print("%s\n", decode_status(wait_for(pid)));
}

CASE(wait_by_process_group) {
    COVERS(wait4, setpgid, getpgid);
    pid_t first = spawn([] {
        setpgid(0, 0);
        return 1;
    });
    pid_t second = spawn([] { return 2; });
    setpgid(first, first);
    int status;
    CHECK(waitpid(0, &status, 0) == second);
    print("own group: %s\n", decode_status(status));
    CHECK(waitpid(-first, &status, 0) == first);
    print("other group: %s\n", decode_status(status));
}

CASE(waitid_exited) {
    COVERS(waitid);
    pid_t pid = spawn([] { return 42; });
    siginfo_t info = {};
    SHOW(waitid(P_PID, pid, &info, WEXITED | WNOWAIT));
    CHECK(info.si_pid == pid);
    CHECK(info.si_code == CLD_EXITED);
    CHECK(info.si_signo == SIGCHLD);
    print("status %d\n", info.si_status);
    info = {};
    SHOW(waitid(P_ALL, 0, &info, WEXITED));
    CHECK(info.si_pid == pid);
    SHOW(waitid(P_ALL, 0, &info, WEXITED));
}

CASE(waitid_killed_and_stopped) {
    COVERS(waitid);
    pid_t pid = spawn([] {
        for (;;) pause();
        return 0;
    });
    siginfo_t info = {};
    kill(pid, SIGSTOP);
    SHOW(waitid(P_PID, pid, &info, WSTOPPED));
    CHECK(info.si_code == CLD_STOPPED);
    print("%s\n", signal_name(info.si_status));
    kill(pid, SIGCONT);
    SHOW(waitid(P_PID, pid, &info, WCONTINUED));
    CHECK(info.si_code == CLD_CONTINUED);
    print("%s\n", signal_name(info.si_status));
    kill(pid, SIGKILL);
    SHOW(waitid(P_PID, pid, &info, WEXITED));
    CHECK(info.si_code == CLD_KILLED);
    print("%s\n", signal_name(info.si_status));
}

CASE(waitid_errors) {
    COVERS_ERROR(waitid);
    siginfo_t info;
    SHOW(waitid(P_ALL, 0, &info, 0));
    SHOW(waitid((idtype_t)77, 0, &info, WEXITED));
    SHOW(waitid(P_PID, 0, &info, WEXITED));
    SHOW(waitid(P_ALL, 0, &info, WEXITED));
    SHOW(waitid(P_PIDFD, 1000, &info, WEXITED));
}

CASE(wait_gives_rusage) {
    COVERS(wait4, getrusage);
    COVERS_ERROR(getrusage);
    pid_t pid = spawn([] {
        volatile long sum = 0;
        for (long i = 0; i < 20000000; i++) sum = sum + i;
        return 0;
    });
    rusage usage = {};
    CHECK(wait4(pid, nullptr, 0, &usage) == pid);
    CHECK(usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec > 0);
    SHOW(getrusage(RUSAGE_CHILDREN, &usage));
    CHECK(usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec > 0);
    SHOW(getrusage(RUSAGE_SELF, &usage));
    SHOW(getrusage(99, &usage));
    SHOW(syscall(SYS_getrusage, RUSAGE_SELF, bad_address()));
}

CASE(most_resident_memory) {
    constexpr size_t kSize = 16 << 20, kKib = kSize >> 10;
    rusage before = {}, with = {}, after = {}, thread = {};
    SHOW(getrusage(RUSAGE_SELF, &before));
    CHECK(before.ru_maxrss > 0);
    void* memory = mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(memory, 1, kSize);
    SHOW(getrusage(RUSAGE_SELF, &with));
    CHECK(with.ru_maxrss >= before.ru_maxrss + static_cast<long>(kKib) - 512);
    munmap(memory, kSize);
    SHOW(getrusage(RUSAGE_SELF, &after));
    CHECK(after.ru_maxrss >= with.ru_maxrss - 512);
    SHOW(getrusage(RUSAGE_THREAD, &thread));
    CHECK(thread.ru_maxrss >= with.ru_maxrss - 512);
}

CASE(ignored_sigchld_reaps) {
    signal(SIGCHLD, SIG_IGN);
    pid_t pid = spawn([] { return 0; });
    SHOW(waitpid(pid, nullptr, 0));
}

CASE(wait_interrupted_by_signal) {
    COVERS_ERROR(wait4);
    struct sigaction action = {};
    action.sa_handler = [](int) {};
    sigaction(SIGUSR1, &action, nullptr);
    pid_t parent = getpid();
    pid_t pid = spawn([=] {
        sleep_ms(50);
        kill(parent, SIGUSR1);
        for (;;) pause();
        return 0;
    });
    SHOW(waitpid(pid, nullptr, 0));
    kill(pid, SIGKILL);
    print("%s\n", decode_status(wait_for(pid)));
}

CASE(process_group_calls) {
    COVERS(getpgid, getpgrp, setpgid);
    COVERS_ERROR(getpgid, setpgid);
    NO_ERROR_PATH(getpgrp);
    CHECK(getpgrp() == getpid());  // the framework makes each case a group
    CHECK(getpgid(0) == getpid());
    SHOW(getpgid(999999));
    SHOW(setpgid(999999, 0));
    SHOW(setpgid(0, -1));
    SHOW(setpgid(0, 999999));
    SHOW(setpgid(1, 0));
    show_child("child", [] {
        CHECK(getpgrp() == getppid());
        SHOW(setpgid(0, 0));
        CHECK(getpgrp() == getpid());
        return 0;
    });
}

CASE(session_calls) {
    COVERS(setsid, getsid);
    COVERS_ERROR(setsid, getsid);
    SHOW(setsid());  // the case leads a process group
    SHOW(getsid(999999));
    show_child("child", [] {
        CHECK(getsid(0) == getsid(getppid()));
        CHECK(setsid() == getpid());
        CHECK(getsid(0) == getpid());
        CHECK(getpgrp() == getpid());
        SHOW(setsid());
        SHOW(setpgid(0, 0));
        return 0;
    });
}

CASE(setpgid_after_exec_is_refused) {
    COVERS_ERROR(setpgid);
    Turn in_exec;
    int fds[2];
    MUST(pipe(fds));
    pid_t pid = spawn([&] {
        dup2(fds[1], 9);
        execl(self_path(), self_path(), "--helper", "tell_and_pause", nullptr);
        return 1;
    });
    char byte;
    MUST(read(fds[0], &byte, 1));
    SHOW(setpgid(pid, pid));
    kill(pid, SIGKILL);
    print("%s\n", decode_status(wait_for(pid)));
}

HELPER(tell_and_pause) {
    if (write(9, "x", 1) != 1) return 1;
    pause();
    return 0;
}

CASE(kill_process_group) {
    COVERS(kill);
    Turn ready;
    pid_t leader = spawn([&] {
        setpgid(0, 0);
        pid_t member = spawn([&] {
            ready.signal();
            pause();
            return 0;
        });
        (void)member;
        ready.signal();
        pause();
        return 0;
    });
    ready.wait();
    ready.wait();
    SHOW(kill(-leader, SIGTERM));
    print("%s\n", decode_status(wait_for(leader)));
}

// Only who ties the group to its session orphans it by leaving (_exit(2)). Each member that left an orphaned group
// once sent SIGHUP to a stopped one.
CASE(orphaned_group_stays_stopped) {
    MUST(prctl(PR_SET_CHILD_SUBREAPER, 1));
    int go[2], numbers[2];
    Turn orphaned;
    MUST(pipe(go));
    MUST(pipe(numbers));
    pid_t leader = spawn([&] {
        MUST(setsid());
        pid_t middle = spawn([&] {
            MUST(setpgid(0, 0));
            pid_t members[2];
            members[0] = spawn([&] {
                orphaned.wait();
                raise(SIGSTOP);
                return 1;
            });
            members[1] = spawn([&] {
                char byte;
                return read(go[0], &byte, 1) == 1 ? 2 : 3;
            });
            MUST(write(numbers[1], members, sizeof members));
            return 0;
        });
        print("middle: %s\n", decode_status(wait_for(middle)));
        orphaned.signal();
        for (;;) pause();
        return 0;
    });
    pid_t members[2];
    MUST(read(numbers[0], members, sizeof members));
    int status = 0;
    // They are this process's children once the middle one has gone.
    while (waitpid(members[0], &status, WUNTRACED) == -1) sleep_ms(5);
    print("%s\n", decode_status(status));
    MUST(write(go[1], "x", 1));
    print("other: %s\n", decode_status(wait_for(members[1])));
    sleep_ms(50);
    SHOW(waitpid(members[0], &status, WNOHANG | WUNTRACED | WCONTINUED));
    kill(members[0], SIGKILL);
    print("%s\n", decode_status(wait_for(members[0])));
    kill(leader, SIGKILL);
    wait_for(leader);
}
