// poll, ppoll, select, pselect.
#include <sys/resource.h>
#include <sys/select.h>

#include "case.h"

static const char* events_name(int events) {
    static char buffer[64];
    snprintf(buffer, sizeof buffer, "%s%s%s%s%s", events & POLLIN ? "IN " : "", events & POLLOUT ? "OUT " : "",
             events & POLLERR ? "ERR " : "", events & POLLHUP ? "HUP " : "", events & POLLNVAL ? "NVAL " : "");
    return buffer;
}

CASE(poll_pipe_states) {
    COVERS(poll);
    int fds[2];
    MUST(pipe(fds));
    pollfd set[2] = {{fds[0], POLLIN, 0}, {fds[1], POLLOUT, 0}};
    SHOW(poll(set, 2, 0));
    print("empty reader: %s\n", events_name(set[0].revents));
    MUST(write(fds[1], "x", 1));
    SHOW(poll(set, 2, 0));
    print("reader %s\n", events_name(set[0].revents));
    print("writer %s\n", events_name(set[1].revents));
    close(fds[1]);
    SHOW(poll(set, 1, 0));
    print("writer gone: %s\n", events_name(set[0].revents));
    char byte;
    read(fds[0], &byte, 1);
    SHOW(poll(set, 1, 0));
    print("drained: %s\n", events_name(set[0].revents));
    MUST(pipe(fds));
    close(fds[0]);
    set[0] = {fds[1], POLLOUT, 0};
    SHOW(poll(set, 1, 0));
    print("reader gone: %s\n", events_name(set[0].revents));
}

CASE(poll_special_descriptors) {
    COVERS(poll);
    pollfd set[3] = {{-1, POLLIN, 7}, {999, POLLIN, 0}, {MUST(open("/dev/null", O_RDWR)), POLLIN | POLLOUT, 0}};
    SHOW(poll(set, 3, 0));
    print("negative: %s\n", events_name(set[0].revents));
    print("closed: %s\n", events_name(set[1].revents));
    print("null: %s\n", events_name(set[2].revents));
}

CASE(poll_timeout) {
    COVERS(poll);
    int64_t start = monotonic_ms();
    SHOW(poll(nullptr, 0, 60));
    CHECK(monotonic_ms() - start >= 60);
}

CASE(poll_wakes_up) {
    COVERS(poll);
    int fds[2];
    MUST(pipe(fds));
    pid_t pid = spawn([&] {
        sleep_ms(40);
        return write(fds[1], "x", 1) == 1 ? 0 : 1;
    });
    pollfd set = {fds[0], POLLIN, 0};
    SHOW(poll(&set, 1, -1));
    print("%s\n", events_name(set.revents));
    wait_for(pid);
}

CASE(poll_errors) {
    COVERS_ERROR(poll);
    SHOW(syscall(SYS_poll, bad_address(), 1, 0));
    rlimit limit = {10, 10};
    setrlimit(RLIMIT_NOFILE, &limit);
    pollfd set[20] = {};
    SHOW(poll(set, 20, 0));
    signal(SIGALRM, SIG_DFL);
    struct sigaction action = {};
    action.sa_handler = [](int) {};
    action.sa_flags = SA_RESTART;
    sigaction(SIGUSR1, &action, nullptr);
    pid_t parent = getpid();
    pid_t pid = spawn([=] {
        sleep_ms(40);
        return kill(parent, SIGUSR1);
    });
    SHOW(poll(nullptr, 0, 5000));
    wait_for(pid);
}

CASE(ppoll_mask_and_errors) {
    COVERS(ppoll);
    COVERS_ERROR(ppoll);
    struct sigaction action = {};
    action.sa_handler = [](int) { print("handler\n"); };
    sigaction(SIGUSR1, &action, nullptr);
    sigset_t blocked, none;
    sigemptyset(&none);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &blocked, nullptr);
    kill(getpid(), SIGUSR1);
    timespec soon = {0, 10000000}, wrong = {0, -1};
    SHOW(ppoll(nullptr, 0, &soon, &blocked));
    SHOW(ppoll(nullptr, 0, nullptr, &none));
    SHOW(ppoll(nullptr, 0, &wrong, nullptr));
    sigprocmask(SIG_SETMASK, nullptr, &none);
    CHECK(sigismember(&none, SIGUSR1));
    int fds[2];
    MUST(pipe(fds));
    pollfd set = {fds[1], POLLOUT, 0};
    SHOW(ppoll(&set, 1, nullptr, nullptr));
}

CASE(select_sets) {
    COVERS(select);
    int first[2], second[2];
    MUST(pipe(first));
    MUST(pipe(second));
    MUST(write(second[1], "x", 1));
    fd_set readers, writers;
    FD_ZERO(&readers);
    FD_ZERO(&writers);
    FD_SET(first[0], &readers);
    FD_SET(second[0], &readers);
    FD_SET(first[1], &writers);
    SHOW(select(second[1] + 1, &readers, &writers, nullptr, nullptr));
    print("%d %d %d\n", FD_ISSET(first[0], &readers), FD_ISSET(second[0], &readers), FD_ISSET(first[1], &writers));
}

CASE(select_timeout_is_updated) {
    COVERS(select);
    timeval timeout = {0, 50000};
    int64_t start = monotonic_ms();
    SHOW(syscall(SYS_select, 0, nullptr, nullptr, nullptr, &timeout));
    CHECK(monotonic_ms() - start >= 50);
    print("left %ld %ld\n", (long)timeout.tv_sec, (long)timeout.tv_usec);
    int fds[2];
    MUST(pipe(fds));
    MUST(write(fds[1], "x", 1));
    fd_set readers;
    FD_ZERO(&readers);
    FD_SET(fds[0], &readers);
    timeout = {5, 0};
    SHOW(syscall(SYS_select, fds[0] + 1, &readers, nullptr, nullptr, &timeout));
    CHECK(timeout.tv_sec == 4 || timeout.tv_sec == 5);
}

CASE(select_errors) {
    COVERS_ERROR(select, pselect6);
    fd_set readers;
    FD_ZERO(&readers);
    timeval none = {0, 0}, wrong = {-1, 0};
    SHOW(syscall(SYS_select, -1, nullptr, nullptr, nullptr, &none));
    SHOW(syscall(SYS_select, 0, nullptr, nullptr, nullptr, &wrong));
    SHOW(syscall(SYS_select, 10, bad_address(), nullptr, nullptr, &none));
    timespec bad_time = {0, 1000000000};
    SHOW(syscall(SYS_pselect6, 0, nullptr, nullptr, nullptr, &bad_time, nullptr));
}

CASE(pselect_mask) {
    COVERS(pselect6);
    struct sigaction action = {};
    action.sa_handler = [](int) { print("handler\n"); };
    sigaction(SIGUSR1, &action, nullptr);
    sigset_t blocked, none;
    sigemptyset(&none);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &blocked, nullptr);
    kill(getpid(), SIGUSR1);
    timespec soon = {0, 10000000};
    SHOW(pselect(0, nullptr, nullptr, nullptr, &soon, nullptr));
    SHOW(pselect(0, nullptr, nullptr, nullptr, &soon, &none));
    SHOW(pselect(0, nullptr, nullptr, nullptr, &soon, &none));
}

CASE(poll_many_descriptors) {
    COVERS(poll);
    rlimit limit = {2048, 2048};
    MUST(setrlimit(RLIMIT_NOFILE, &limit));
    static pollfd set[500];
    static int writers[500];
    for (int i = 0; i < 500; i++) {
        int fds[2];
        MUST(pipe(fds));
        set[i] = {fds[0], POLLIN, 0};
        writers[i] = fds[1];
    }
    for (int i = 0; i < 500; i += 7) MUST(write(writers[i], "x", 1));
    SHOW(poll(set, 500, 0));
    int right = 0;
    for (int i = 0; i < 500; i++) right += (set[i].revents == POLLIN) == (i % 7 == 0);
    print("right %d\n", right);
}
