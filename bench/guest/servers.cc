// Whole servers as Debian ships them, seen by a client in the same machine: the figures include the client.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>

#include "bench.h"

// Output goes nowhere: a console would be part of the figures.
static pid_t start(const char* const* arguments) {
    if (access(arguments[0], X_OK) < 0) skip("the root lacks the program");
    pid_t pid = fork();
    if (pid == 0) {
        int nowhere = open("/dev/null", O_RDWR);
        for (int fd = 0; fd < 3; fd++) dup2(nowhere, fd);
        execv(arguments[0], (char* const*)arguments);
        _exit(127);
    }
    check(pid > 0, "fork");
    return pid;
}

static int try_to_connect(uint16_t port) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd >= 0 && connect(fd, (const sockaddr*)&address, sizeof address) == 0) return fd;
    close(fd);
    return -1;
}

static int connect_when_ready(uint16_t port) {
    for (int i = 0; i < 500; i++) {
        int fd = try_to_connect(port);
        if (fd >= 0) return fd;
        const timespec pause = {0, 10'000'000};
        nanosleep(&pause, nullptr);
    }
    fail("the server does not listen");
}

static void stop(pid_t server) {
    kill(server, SIGTERM);
    waitpid(server, nullptr, 0);
}

static pid_t start_nginx() {
    const char* const arguments[] = {"/usr/sbin/nginx", "-c", "/bench/nginx.conf", "-g", "daemon off;", nullptr};
    return start(arguments);
}

static const uint16_t kHttpPort = 8000;
static const size_t kPage = 612;  // bytes of bench/guest/nginx/index.html

static void send_all(int fd, const char* text) {
    const auto length = (ssize_t)strlen(text);
    check(send(fd, text, (size_t)length, MSG_NOSIGNAL) == length, "send");
}

// Reads one answer: its head, and a page.
static void receive_page(int fd) {
    static char answer[8192];
    size_t got = 0, wanted = sizeof answer;
    while (got < wanted) {
        ssize_t n = recv(fd, answer + got, sizeof answer - got, 0);
        check(n > 0, "recv");
        got += (size_t)n;
        if (wanted < sizeof answer) continue;
        auto* end = (const char*)memmem(answer, got, "\r\n\r\n", 4);
        if (end) wanted = (size_t)(end - answer) + 4 + kPage;
    }
    check(got == wanted && memcmp(answer, "HTTP/1.1 200", 12) == 0, "the page");
}

ROW(nginx_keepalive) {
    pid_t server = start_nginx();
    int fd = connect_when_ready(kHttpPort);
    measure(name, 300, [=] {
        send_all(fd, "GET /index.html HTTP/1.1\r\nHost: localhost\r\n\r\n");
        receive_page(fd);
    }, 20);
    close(fd);
    stop(server);
}

ROW(nginx_connect) {
    pid_t server = start_nginx();
    close(connect_when_ready(kHttpPort));
    measure(name, 200, [] {
        int fd = try_to_connect(kHttpPort);
        check(fd >= 0, "connect");
        send_all(fd, "GET /index.html HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        receive_page(fd);
        char end;
        check(recv(fd, &end, 1, 0) == 0, "end");
        close(fd);
    }, 20);
    stop(server);
}

static uint64_t time_redis_benchmark(const char* test, const char* count) {
    const char* const arguments[] = {"/usr/bin/redis-benchmark", "-c", "1", "-q", "-t", test, "-n", count, nullptr};
    uint64_t begin = ticks();
    wait_child(start(arguments));
    return ticks() - begin;
}

// redis-benchmark with one client; the difference of two lengths leaves its start out.
static void redis(const char* name, const char* test) {
    const char* const arguments[] = {"/usr/bin/redis-server", "--bind", "127.0.0.1", "--save", "", nullptr};
    if (access("/usr/bin/redis-benchmark", X_OK) < 0) skip("the root lacks the program");
    pid_t server = start(arguments);
    close(connect_when_ready(6379));
    time_redis_benchmark("set", "100");
    uint64_t few = time_redis_benchmark(test, "1000"), many = time_redis_benchmark(test, "4000");
    print_value(name, (double)(many - few) / 3000);
    stop(server);
}

ROW(redis_set) { redis(name, "set"); }
ROW(redis_get) { redis(name, "get"); }
