// TCP over loopback.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "bench.h"

static int listener(sockaddr_in* address) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    check(fd >= 0, "socket");
    *address = {};
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof *address;
    check(bind(fd, (sockaddr*)address, length) == 0 && listen(fd, 64) == 0, "listen");
    check(getsockname(fd, (sockaddr*)address, &length) == 0, "getsockname");
    return fd;
}

static int connect_to(const sockaddr_in& address) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    check(fd >= 0 && connect(fd, (const sockaddr*)&address, sizeof address) == 0, "connect");
    return fd;
}

static void send_at_once(int fd) {
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

ROW(tcp_lo_pingpong_1B) {
    sockaddr_in address;
    int server = listener(&address);
    char byte = 0;
    pid_t pid = fork();
    if (pid == 0) {
        int fd = accept(server, nullptr, nullptr);
        send_at_once(fd);
        while (recv(fd, &byte, 1, 0) == 1) check(send(fd, &byte, 1, 0) == 1, "send");
        _exit(0);
    }
    int fd = connect_to(address);
    send_at_once(fd);
    measure(name, 300, [&] {
        check(send(fd, &byte, 1, 0) == 1, "send");
        check(recv(fd, &byte, 1, 0) == 1, "recv");
    }, 20);
    close(fd);
    wait_child(pid);
}

ROW(tcp_lo_connect_accept_close) {
    sockaddr_in address;
    int server = listener(&address);
    measure(name, 200, [&] {
        int client = connect_to(address), connection = accept(server, nullptr, nullptr);
        check(connection >= 0, "accept");
        close(client);
        close(connection);
    });
}

// Ticks per KiB of a stream between two processes.
static void bulk(const char* name, size_t write_size) {
    const size_t total = 8 << 20;
    static char block[65536];
    sockaddr_in address;
    int server = listener(&address);
    pid_t pid = fork();
    if (pid == 0) {
        int fd = connect_to(address);
        for (size_t done = 0; done < total; done += write_size)
            check(send(fd, block, write_size, 0) == (ssize_t)write_size, "send");
        close(fd);
        _exit(0);
    }
    int fd = accept(server, nullptr, nullptr);
    uint64_t start = ticks();
    size_t got = 0;
    ssize_t n;
    while ((n = recv(fd, block, sizeof block, 0)) > 0) got += n;
    uint64_t taken = ticks() - start;
    check(got == total, "length");
    wait_child(pid);
    print_value(name, (double)taken / (double)(total / 1024));
}

ROW(tcp_lo_bulk_64KiB_writes) { bulk(name, 65536); }
ROW(tcp_lo_bulk_4KiB_writes) { bulk(name, 4096); }
