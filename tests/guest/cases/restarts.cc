// What stopping, continuing and handled signals do to calls that wait: which go on, which are interrupted.
#include <linux/futex.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <initializer_list>

#include "case.h"

// Runs `body` in a child, stops it for a while in the middle and continues it; returns the child's status.
template <typename Body>
static int stopped_in_the_middle(Body&& body, int before_ms = 60) {
    pid_t pid = spawn(body);
    sleep_ms(before_ms);
    kill(pid, SIGSTOP);
    int status;
    MUST(waitpid(pid, &status, WUNTRACED));
    if (!WIFSTOPPED(status)) return status;
    sleep_ms(40);
    kill(pid, SIGCONT);
    return wait_for(pid);
}

CASE(nanosleep_goes_on_after_stop) {
    COVERS(nanosleep, restart_syscall);
    NO_ERROR_PATH(restart_syscall);
    print("%s\n", decode_status(stopped_in_the_middle([] {
              timespec rest = {0, 250000000};
              int64_t start = monotonic_ms();
              int result = nanosleep(&rest, nullptr);
              int64_t took = monotonic_ms() - start;
              return result == 0 && took >= 250 ? 0 : 1;
          })));
}

CASE(poll_goes_on_after_stop) {
    print("%s\n", decode_status(stopped_in_the_middle([] { return poll(nullptr, 0, 250); })));
}

CASE(futex_goes_on_after_stop) {
    print("%s\n", decode_status(stopped_in_the_middle([] {
              int word = 0;
              timespec limit = {0, 250000000};
              long result = syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &limit, nullptr, 0);
              return result == -1 && errno == ETIMEDOUT ? 0 : 1;
          })));
}

CASE(epoll_wait_is_interrupted_by_stop) {
    print("%s\n", decode_status(stopped_in_the_middle([] {
              int epoll = epoll_create1(0);
              epoll_event event;
              int result = epoll_wait(epoll, &event, 1, 400);
              return result == -1 ? (errno == EINTR ? 7 : 8) : result;
          })));
}

CASE(read_goes_on_after_stop) {
    int fds[2];
    MUST(pipe(fds));
    pid_t pid = spawn([&] {
        char byte;
        return read(fds[0], &byte, 1) == 1 ? 0 : 1;
    });
    sleep_ms(40);
    kill(pid, SIGSTOP);
    waitpid(pid, nullptr, WUNTRACED);
    kill(pid, SIGCONT);
    sleep_ms(20);
    MUST(write(fds[1], "x", 1));
    print("%s\n", decode_status(wait_for(pid)));
}

CASE(ignored_signal_interrupts_nothing) {
    print("%s\n", decode_status(wait_for(spawn([] {
              signal(SIGUSR1, SIG_IGN);
              pid_t self = getpid();
              pid_t other = spawn([=] {
                  sleep_ms(30);
                  return kill(self, SIGUSR1);
              });
              int64_t start = monotonic_ms();
              int result = poll(nullptr, 0, 150);
              wait_for(other);
              return result == 0 && monotonic_ms() - start >= 150 ? 0 : 1;
          }))));
}

// Calls that SA_RESTART restarts, and calls that it does not.
template <typename Call>
static void interrupted(const char* what, int flags, Call&& call) {
    int status = wait_for(spawn([&] {
        struct sigaction action = {};
        action.sa_handler = [](int) {};
        action.sa_flags = flags;
        sigaction(SIGUSR1, &action, nullptr);
        pid_t self = getpid();
        pid_t other = spawn([=] {
            sleep_ms(40);
            kill(self, SIGUSR1);
            sleep_ms(120);
            kill(self, SIGKILL);  // the call went on
            return 0;
        });
        (void)other;
        long result = call();
        print("%s: %ld %s\n", what, result, result < 0 ? errno_name(errno) : "");
        kill(other, SIGKILL);
        wait_for(other);
        return 0;
    }));
    if (WIFSIGNALED(status)) print("%s: went on\n", what);
}

CASE(which_calls_restart) {
    COVERS_ERROR(read, wait4, connect, accept, recvfrom, nanosleep, poll, select, epoll_wait, flock, futex);
    for (int flags : {SA_RESTART, 0}) {
        print("%s:\n", flags ? "SA_RESTART" : "no SA_RESTART");
        int fds[2], pair[2];
        MUST(pipe(fds));
        MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
        char byte;
        interrupted("read of a pipe", flags, [&] { return read(fds[0], &byte, 1); });
        interrupted("recv", flags, [&] { return recv(pair[0], &byte, 1, 0); });
        interrupted("poll", flags, [&] { return poll(nullptr, 0, 5000); });
        interrupted("select", flags, [&] {
            timeval limit = {5, 0};
            return select(0, nullptr, nullptr, nullptr, &limit);
        });
        interrupted("nanosleep", flags, [&] {
            timespec rest = {5, 0};
            return nanosleep(&rest, nullptr);
        });
        interrupted("epoll_wait", flags, [&] {
            epoll_event event;
            return epoll_wait(epoll_create1(0), &event, 1, 5000);
        });
        interrupted("futex", flags, [&] {
            int word = 0;
            return syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0);
        });
        interrupted("recv with timeout", flags, [&] {
            timeval limit = {5, 0};
            setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
            return recv(pair[0], &byte, 1, 0);
        });
        interrupted("open of a fifo", flags, [&] {
            char path[64];
            snprintf(path, sizeof path, "/tmp/fifo-%d", getpid());
            mkfifo(path, 0600);
            return open(path, O_RDONLY);
        });
        interrupted("waitpid", flags, [&] {
            pid_t pid = spawn([] {
                sleep_ms(300);
                return 0;
            });
            return waitpid(pid, nullptr, 0);
        });
    }
}
