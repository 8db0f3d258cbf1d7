// Pipes, futexes, signals, event files.
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "bench.h"

ROW(pipe_self) {
    int fds[2];
    check(pipe(fds) == 0, "pipe");
    char byte = 0;
    measure(name, 500, [&] {
        check(write(fds[1], &byte, 1) == 1, "write");
        check(read(fds[0], &byte, 1) == 1, "read");
    });
}

// One byte there and back between two processes over two descriptors.
static void ping_pong(const char* name, int send, int receive, int peer_receive, int peer_send) {
    char byte = 0;
    pid_t pid = fork();
    if (pid == 0) {
        close(send);
        while (read(peer_receive, &byte, 1) == 1 && byte == 0) check(write(peer_send, &byte, 1) == 1, "write");
        _exit(0);
    }
    measure(name, 500, [&] {
        check(write(send, &byte, 1) == 1, "write");
        check(read(receive, &byte, 1) == 1, "read");
    }, 20);
    byte = 1;
    check(write(send, &byte, 1) == 1, "write");
    wait_child(pid);
}

ROW(pipe_pingpong) {
    int there[2], back[2];
    check(pipe(there) == 0 && pipe(back) == 0, "pipe");
    ping_pong(name, there[1], back[0], there[0], back[1]);
}

ROW(unix_pingpong_1B) {
    int pair[2];
    check(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "socketpair");
    ping_pong(name, pair[0], pair[0], pair[1], pair[1]);
}

ROW(sched_yield_alone) {
    measure(name, 500, [] { sched_yield(); });
}

// Two processes that yield to each other.
ROW(sched_yield_2proc) {
    auto* stop = (volatile int*)mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    check(stop != MAP_FAILED, "mmap");
    pid_t pid = fork();
    if (pid == 0) {
        while (!*stop) sched_yield();
        _exit(0);
    }
    measure(name, 500, [] { sched_yield(); }, 20);
    *stop = 1;
    wait_child(pid);
}

ROW(futex_wake_none) {
    int word = 0;
    measure(name, 500, [&] { syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0); });
}

static volatile int turn;

static void set_turn(int value) {
    turn = value;
    syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

static void wait_turn(int value) {
    int now;
    while ((now = turn) != value) syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, now, nullptr, nullptr, 0);
}

ROW(futex_pingpong_threads) {
    pthread_t thread;
    check(pthread_create(&thread, nullptr, [](void*) -> void* {
        for (;;) {
            int now;
            while ((now = turn) == 0) syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0);
            if (now == 2) return nullptr;
            set_turn(0);
        }
    }, nullptr) == 0, "thread");
    measure(name, 500, [] {
        set_turn(1);
        wait_turn(0);
    }, 20);
    set_turn(2);
    pthread_join(thread, nullptr);
}

static volatile sig_atomic_t handled;

ROW(signal_self_kill_handler) {
    struct sigaction action = {};
    action.sa_handler = [](int) { handled = 1; };
    sigaction(SIGUSR1, &action, nullptr);
    pid_t self = getpid();
    measure(name, 500, [=] { kill(self, SIGUSR1); });
}

ROW(sigaction) {
    struct sigaction action = {};
    action.sa_handler = SIG_IGN;
    measure(name, 500, [&] { sigaction(SIGUSR2, &action, nullptr); });
}

ROW(epoll_wait_1ready) {
    int epoll = epoll_create1(0), event = eventfd(1, 0);
    epoll_event wanted = {}, ready;
    wanted.events = EPOLLIN;
    check(epoll_ctl(epoll, EPOLL_CTL_ADD, event, &wanted) == 0, "epoll_ctl");
    measure(name, 500, [&] { check(epoll_wait(epoll, &ready, 1, 0) == 1, "epoll_wait"); });
}

ROW(poll_1fd) {
    int event = eventfd(1, 0);
    pollfd set = {event, POLLIN, 0};
    measure(name, 500, [&] { check(poll(&set, 1, 0) == 1, "poll"); });
}

// Ticks per KiB of a stream through a pipe, writes of 64 KiB.
ROW(pipe_bulk_64KiB) {
    const size_t total = 16 << 20;
    static char block[65536];
    int fds[2];
    check(pipe(fds) == 0, "pipe");
    pid_t pid = fork();
    if (pid == 0) {
        close(fds[0]);
        for (size_t done = 0; done < total; done += sizeof block)
            check(write(fds[1], block, sizeof block) == (ssize_t)sizeof block, "write");
        _exit(0);
    }
    close(fds[1]);
    uint64_t start = ticks();
    size_t got = 0;
    ssize_t n;
    while ((n = read(fds[0], block, sizeof block)) > 0) got += n;
    uint64_t taken = ticks() - start;
    check(got == total, "length");
    wait_child(pid);
    print_value(name, (double)taken / (double)(total / 1024));
}
