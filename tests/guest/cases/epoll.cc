// epoll: level and edge triggered, one-shot, nested, across fork, many waiters.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "case.h"

static int add(int epoll, int fd, uint32_t events, uint64_t data) {
    epoll_event event = {};
    event.events = events;
    event.data.u64 = data;
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static void show_events(const char* what, int epoll, int timeout_ms = 0) {
    epoll_event events[8];
    int count = epoll_wait(epoll, events, 8, timeout_ms);
    print("%s:", what);
    if (count < 0) print(" %s", errno_name(errno));
    if (count == 0) print(" none");
    for (int i = 0; i < count; i++) {
        uint32_t e = events[i].events;
        print(" %lu=%s%s%s%s%s", (unsigned long)events[i].data.u64, e & EPOLLIN ? "IN" : "", e & EPOLLOUT ? "OUT" : "",
              e & EPOLLERR ? "ERR" : "", e & EPOLLHUP ? "HUP" : "", e & EPOLLRDHUP ? "RDHUP" : "");
    }
    print("\n");
}

CASE(epoll_level_triggered) {
    COVERS(epoll_create1, epoll_ctl, epoll_wait);
    int epoll = MUST(epoll_create1(EPOLL_CLOEXEC)), fds[2];
    MUST(pipe(fds));
    SHOW(add(epoll, fds[0], EPOLLIN, 1));
    SHOW(add(epoll, fds[1], EPOLLOUT, 2));
    show_events("empty", epoll);
    MUST(write(fds[1], "ab", 2));
    SHOW(epoll_ctl(epoll, EPOLL_CTL_DEL, fds[1], nullptr));
    show_events("data", epoll);
    show_events("still", epoll);
    char byte;
    read(fds[0], &byte, 1);
    show_events("one byte left", epoll);
    read(fds[0], &byte, 1);
    show_events("drained", epoll);
    close(fds[1]);
    show_events("writer gone", epoll);
    close(fds[0]);
    show_events("closed", epoll);
}

CASE(epoll_edge_triggered) {
    COVERS(epoll_ctl, epoll_wait);
    int epoll = MUST(epoll_create1(0)), fds[2];
    MUST(pipe(fds));
    MUST(add(epoll, fds[0], EPOLLIN | EPOLLET, 1));
    MUST(write(fds[1], "a", 1));
    show_events("first", epoll);
    show_events("again", epoll);
    MUST(write(fds[1], "b", 1));
    show_events("new data", epoll);
    show_events("again", epoll);
}

CASE(epoll_one_shot) {
    COVERS(epoll_ctl);
    int epoll = MUST(epoll_create1(0)), event = MUST(eventfd(1, 0));
    MUST(add(epoll, event, EPOLLIN | EPOLLONESHOT, 5));
    show_events("first", epoll);
    show_events("disarmed", epoll);
    epoll_event again = {};
    again.events = EPOLLIN | EPOLLONESHOT;
    again.data.u64 = 6;
    SHOW(epoll_ctl(epoll, EPOLL_CTL_MOD, event, &again));
    show_events("armed again", epoll);
}

CASE(epoll_errors) {
    COVERS_ERROR(epoll_create, epoll_create1, epoll_ctl, epoll_wait, epoll_pwait);
    COVERS(epoll_create);
    SHOW(syscall(SYS_epoll_create, 0));
    SHOW(epoll_create1(0x1));
    int epoll = MUST(syscall(SYS_epoll_create, 1)), event = MUST(eventfd(0, 0));
    epoll_event wanted = {};
    wanted.events = EPOLLIN;
    SHOW(epoll_ctl(epoll, EPOLL_CTL_ADD, event, &wanted));
    SHOW(epoll_ctl(epoll, EPOLL_CTL_ADD, event, &wanted));
    SHOW(epoll_ctl(epoll, EPOLL_CTL_DEL, 0, &wanted));
    SHOW(epoll_ctl(epoll, EPOLL_CTL_MOD, 1, &wanted));
    SHOW(epoll_ctl(epoll, EPOLL_CTL_ADD, -1, &wanted));
    SHOW(epoll_ctl(-1, EPOLL_CTL_ADD, event, &wanted));
    SHOW(epoll_ctl(event, EPOLL_CTL_ADD, event, &wanted));
    SHOW(epoll_ctl(epoll, EPOLL_CTL_ADD, epoll, &wanted));
    SHOW(epoll_ctl(epoll, 77, event, &wanted));
    SHOW(syscall(SYS_epoll_ctl, epoll, EPOLL_CTL_ADD, 1, bad_address()));
    int file = MUST(open("/proc/self/exe", O_RDONLY));
    SHOW(epoll_ctl(epoll, EPOLL_CTL_ADD, file, &wanted));
    SHOW(epoll_wait(epoll, &wanted, 0, 0));
    SHOW(epoll_wait(event, &wanted, 1, 0));
    SHOW(epoll_wait(-1, &wanted, 1, 0));
    SHOW(epoll_pwait(-1, &wanted, 1, 0, nullptr));
    MUST(eventfd_write(event, 1));
    SHOW(syscall(SYS_epoll_wait, epoll, bad_address(), 1, 0));
}

CASE(epoll_timeout_and_interrupt) {
    COVERS(epoll_wait, epoll_pwait, epoll_pwait2);
    COVERS_ERROR(epoll_wait, epoll_pwait2);
    int epoll = MUST(epoll_create1(0));
    epoll_event event;
    int64_t start = monotonic_ms();
    SHOW(epoll_wait(epoll, &event, 1, 50));
    CHECK(monotonic_ms() - start >= 50);
    timespec soon = {0, 1000000}, wrong = {0, 1000000000};
    SHOW(syscall(SYS_epoll_pwait2, epoll, &event, 1, &soon, nullptr, 8));
    SHOW(syscall(SYS_epoll_pwait2, epoll, &event, 1, &wrong, nullptr, 8));
    struct sigaction action = {};
    action.sa_handler = [](int) {};
    action.sa_flags = SA_RESTART;
    sigaction(SIGUSR1, &action, nullptr);
    pid_t parent = getpid();
    pid_t pid = spawn([=] {
        sleep_ms(40);
        return kill(parent, SIGUSR1);
    });
    SHOW(epoll_wait(epoll, &event, 1, -1));
    wait_for(pid);
    sigset_t blocked, none;
    sigemptyset(&none);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &blocked, nullptr);
    kill(parent, SIGUSR1);
    SHOW(epoll_pwait(epoll, &event, 1, 10, nullptr));
    SHOW(epoll_pwait(epoll, &event, 1, -1, &none));
}

CASE(epoll_wakes_waiter) {
    COVERS(epoll_wait);
    int epoll = MUST(epoll_create1(0)), fds[2];
    MUST(pipe(fds));
    MUST(add(epoll, fds[0], EPOLLIN, 3));
    pid_t pid = spawn([&] {
        sleep_ms(40);
        return write(fds[1], "x", 1) == 1 ? 0 : 1;
    });
    show_events("woken", epoll, -1);
    wait_for(pid);
}

CASE(epoll_is_shared_across_fork) {
    int epoll = MUST(epoll_create1(0)), event = MUST(eventfd(0, 0));
    show_child("child", [&] { return add(epoll, event, EPOLLIN, 8); });
    MUST(eventfd_write(event, 1));
    show_events("registered by the child", epoll);
}

CASE(epoll_follows_open_file_not_number) {
    // A duplicate keeps the registration alive after the registered number is closed.
    int epoll = MUST(epoll_create1(0)), fds[2];
    MUST(pipe(fds));
    MUST(add(epoll, fds[0], EPOLLIN, 4));
    int copy = MUST(dup(fds[0]));
    close(fds[0]);
    MUST(write(fds[1], "x", 1));
    show_events("duplicate open", epoll);
    close(copy);
    show_events("all closed", epoll);
}

CASE(epoll_in_epoll) {
    int inner = MUST(epoll_create1(0)), outer = MUST(epoll_create1(0)), event = MUST(eventfd(0, 0));
    MUST(add(inner, event, EPOLLIN, 1));
    SHOW(add(outer, inner, EPOLLIN, 2));
    SHOW(add(inner, outer, EPOLLIN, 3));
    show_events("quiet", outer);
    MUST(eventfd_write(event, 1));
    show_events("outer", outer);
    show_events("inner", inner);
    pollfd set = {outer, POLLIN, 0};
    SHOW(poll(&set, 1, 0));
}

CASE(epoll_rotates_ready_list) {
    int epoll = MUST(epoll_create1(0));
    for (int i = 0; i < 4; i++) MUST(add(epoll, MUST(eventfd(1, 0)), EPOLLIN, i));
    epoll_event events[2];
    int seen[4] = {};
    for (int round = 0; round < 4; round++) {
        int count = epoll_wait(epoll, events, 2, 0);
        for (int i = 0; i < count; i++) seen[events[i].data.u64]++;
    }
    print("%d %d %d %d\n", seen[0], seen[1], seen[2], seen[3]);
}

CASE(epoll_exclusive_workers) {
    // Four workers wait for one listening object; every event is handled once.
    COVERS(epoll_ctl);
    int event = MUST(eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK));
    int* handled = (int*)MUST(
        mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    pid_t pids[4];
    for (pid_t& pid : pids)
        pid = spawn([&] {
            int epoll = MUST(epoll_create1(0));
            MUST(add(epoll, event, EPOLLIN | EPOLLEXCLUSIVE, 1));
            while (__atomic_load_n(handled, __ATOMIC_SEQ_CST) < 100) {
                epoll_event ready;
                if (epoll_wait(epoll, &ready, 1, 50) != 1) continue;
                eventfd_t value;
                if (eventfd_read(event, &value) == 0) __atomic_add_fetch(handled, 1, __ATOMIC_SEQ_CST);
            }
            return 0;
        });
    for (int i = 0; i < 100; i++) MUST(eventfd_write(event, 1));
    int good = 0;
    for (pid_t pid : pids) good += wait_for(pid) == 0;
    print("handled %d, workers ended %d\n", *handled, good);
}

CASE(epoll_socket_hangup) {
    int epoll = MUST(epoll_create1(0)), pair[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    MUST(add(epoll, pair[0], EPOLLIN | EPOLLOUT | EPOLLRDHUP, 1));
    show_events("open", epoll);
    shutdown(pair[1], SHUT_WR);
    show_events("half closed", epoll);
    close(pair[1]);
    show_events("closed", epoll);
}

CASE_WITH_LIMIT(epoll_wait_without_timeout_gives_no_zero, 120) {
    // What became ready is taken away by another process, and a signal comes, before the sleeper looks.
    struct sigaction action = {};
    action.sa_handler = [](int) {};
    sigaction(SIGUSR1, &action, nullptr);
    int event = MUST(eventfd(0, EFD_NONBLOCK)), epoll = MUST(epoll_create1(0));
    MUST(add(epoll, event, EPOLLIN, 1));
    pid_t waiter = getpid(), teaser = spawn([&] {
        for (;;) {
            eventfd_t value;
            eventfd_write(event, 1);
            eventfd_read(event, &value);
            kill(waiter, SIGUSR1);
        }
        return 0;
    });
    int interrupted = 0, zeros = 0, wrong = 0;
    while (interrupted < 2000) {
        epoll_event ready;
        int count = epoll_wait(epoll, &ready, 1, -1);
        if (count == 0) zeros++;
        else if (count < 0) errno == EINTR ? interrupted++ : wrong++;
    }
    kill(teaser, SIGKILL);
    wait_for(teaser);
    print("zeros %d, wrong errors %d\n", zeros, wrong);
}
