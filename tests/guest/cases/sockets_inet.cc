// TCP over loopback.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "case.h"

static sockaddr_in loopback(int port) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

// A listening socket on a port that the kernel picks.
static int listener(sockaddr_in* address, int flags = 0, int backlog = 16) {
    int fd = MUST(socket(AF_INET, SOCK_STREAM | flags, 0));
    int on = 1;
    MUST(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on));
    *address = loopback(0);
    MUST(bind(fd, (sockaddr*)address, sizeof *address));
    MUST(listen(fd, backlog));
    socklen_t length = sizeof *address;
    MUST(getsockname(fd, (sockaddr*)address, &length));
    return fd;
}

static int connected_to(const sockaddr_in& address) {
    int fd = MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(connect(fd, (const sockaddr*)&address, sizeof address));
    return fd;
}

CASE(tcp_request_and_answer) {
    COVERS(socket, bind, listen, accept, connect, getsockname, getpeername, sendto, recvfrom);
    sockaddr_in address;
    int server = listener(&address);
    CHECK(ntohs(address.sin_port) != 0);
    pid_t pid = spawn([&] {
        int client = connected_to(address);
        char buffer[32] = "";
        MUST(send(client, "question", 8, 0));
        MUST(recv(client, buffer, 32, 0));
        return strcmp(buffer, "answer") == 0 ? 0 : 1;
    });
    sockaddr_in peer = {};
    socklen_t length = sizeof peer;
    int connection = MUST(accept(server, (sockaddr*)&peer, &length));
    print("peer %s family %d length %d\n", inet_ntoa(peer.sin_addr), peer.sin_family, (int)length);
    char buffer[32] = "";
    SHOW(recv(connection, buffer, 32, 0));
    print("server got %s\n", buffer);
    SHOW(send(connection, "answer", 6, 0));
    print("%s\n", decode_status(wait_for(pid)));
    SHOW(recv(connection, buffer, 32, 0));
    sockaddr_in name = {};
    length = sizeof name;
    SHOW(getpeername(connection, (sockaddr*)&name, &length));
    CHECK(name.sin_port == peer.sin_port);
    SHOW(getsockname(connection, (sockaddr*)&name, &length));
    CHECK(name.sin_port == address.sin_port);
}

CASE(tcp_connect_errors) {
    COVERS_ERROR(connect, bind);
    sockaddr_in address;
    int server = listener(&address);
    close(server);
    int fd = MUST(socket(AF_INET, SOCK_STREAM, 0));
    SHOW(connect(fd, (sockaddr*)&address, sizeof address));
    SHOW(connect(fd, (sockaddr*)&address, 4));
    SHOW(connect(-1, (sockaddr*)&address, sizeof address));
    SHOW(bind(fd, (sockaddr*)&address, 4));
    server = listener(&address);
    int other = MUST(socket(AF_INET, SOCK_STREAM, 0));
    SHOW(bind(other, (sockaddr*)&address, sizeof address));
    SHOW(bind(server, (sockaddr*)&address, sizeof address));
    fd = connected_to(address);
    SHOW(connect(fd, (sockaddr*)&address, sizeof address));
    sockaddr_in foreign = loopback(0);
    foreign.sin_addr.s_addr = inet_addr("192.0.2.77");
    SHOW(bind(other, (sockaddr*)&foreign, sizeof foreign));
    char byte;
    other = MUST(socket(AF_INET, SOCK_STREAM, 0));
    signal(SIGPIPE, SIG_IGN);
    SHOW(recv(other, &byte, 1, 0));
    SHOW(send(other, "x", 1, 0));
    SHOW(recv(server, &byte, 1, 0));
}

CASE(tcp_nonblocking_connect) {
    COVERS(connect, getsockopt);
    sockaddr_in address;
    int server = listener(&address);
    int fd = MUST(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    int result = connect(fd, (sockaddr*)&address, sizeof address);
    CHECK(result == 0 || errno == EINPROGRESS);
    pollfd set = {fd, POLLOUT, 0};
    SHOW(poll(&set, 1, 5000));
    int error = -1;
    socklen_t length = sizeof error;
    SHOW(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length));
    print("error %d\n", error);
    close(server);
    sockaddr_in gone;
    close(listener(&gone));
    fd = MUST(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    result = connect(fd, (sockaddr*)&gone, sizeof gone);
    CHECK(result == -1 && (errno == EINPROGRESS || errno == ECONNREFUSED));
    bool late = errno == EINPROGRESS;
    set = {fd, POLLOUT, 0};
    poll(&set, 1, 5000);
    MUST(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length));
    print("error %s\n", late ? errno_name(error) : "ECONNREFUSED");
}

CASE(tcp_nonblocking_accept_and_read) {
    COVERS_ERROR(accept4, recvfrom);
    sockaddr_in address;
    int server = listener(&address, SOCK_NONBLOCK);
    SHOW(accept4(server, nullptr, nullptr, 0));
    int client = connected_to(address);
    pollfd set = {server, POLLIN, 0};
    SHOW(poll(&set, 1, 5000));
    int connection = MUST(accept4(server, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    CHECK(fcntl(connection, F_GETFL) & O_NONBLOCK);
    SHOW(fcntl(connection, F_GETFD));
    char byte;
    SHOW(recv(connection, &byte, 1, 0));
    MUST(send(client, "x", 1, 0));
    set = {connection, POLLIN, 0};
    SHOW(poll(&set, 1, 5000));
    SHOW(recv(connection, &byte, 1, 0));
}

CASE(tcp_shutdown_and_hangup) {
    COVERS(shutdown);
    COVERS_ERROR(shutdown);
    sockaddr_in address;
    int server = listener(&address), client = connected_to(address);
    int connection = MUST(accept(server, nullptr, nullptr));
    SHOW(shutdown(client, SHUT_WR));
    char buffer[8];
    SHOW(recv(connection, buffer, 8, 0));
    SHOW(send(connection, "still", 5, 0));
    SHOW(recv(client, buffer, 8, 0));
    pollfd set = {connection, POLLIN | POLLRDHUP, 0};
    SHOW(poll(&set, 1, 5000));
    CHECK(set.revents & POLLRDHUP);
    signal(SIGPIPE, SIG_IGN);
    SHOW(send(client, "x", 1, 0));
    SHOW(shutdown(MUST(socket(AF_INET, SOCK_STREAM, 0)), SHUT_RDWR));
}

CASE(tcp_reset) {
    COVERS_ERROR(recvfrom, sendto);
    sockaddr_in address;
    int server = listener(&address), client = connected_to(address);
    int connection = MUST(accept(server, nullptr, nullptr));
    linger now = {1, 0};
    SHOW(setsockopt(connection, SOL_SOCKET, SO_LINGER, &now, sizeof now));
    close(connection);
    char byte;
    SHOW(recv(client, &byte, 1, 0));
    signal(SIGPIPE, SIG_IGN);
    SHOW(send(client, "x", 1, 0));
    client = connected_to(address);
    connection = MUST(accept(server, nullptr, nullptr));
    MUST(send(client, "unread", 6, 0));
    pollfd set = {connection, POLLIN, 0};
    SHOW(poll(&set, 1, 5000));
    close(connection);
    SHOW(recv(client, &byte, 1, 0));
}

CASE(tcp_bulk_both_ways) {
    sockaddr_in address;
    int server = listener(&address);
    pid_t pid = spawn([&] {
        int client = connected_to(address);
        static unsigned char block[30011];
        for (int i = 0; i < 100; i++) {
            memset(block, i, sizeof block);
            for (size_t done = 0; done < sizeof block;) {
                ssize_t n = send(client, block + done, sizeof block - done, 0);
                if (n <= 0) return 1;
                done += n;
            }
        }
        shutdown(client, SHUT_WR);
        unsigned long sum = 0;
        ssize_t n = recv(client, &sum, sizeof sum, MSG_WAITALL);
        print("client got %zd bytes, sum %lu\n", n, sum);
        return 0;
    });
    int connection = MUST(accept(server, nullptr, nullptr));
    static unsigned char buffer[10000];
    unsigned long total = 0, wrong = 0;
    ssize_t n;
    while ((n = recv(connection, buffer, sizeof buffer, 0)) > 0)
        for (ssize_t i = 0; i < n; i++, total++) wrong += buffer[i] != (unsigned char)(total / 30011);
    print("server got %lu, wrong %lu\n", total, wrong);
    MUST(send(connection, &total, sizeof total, 0));
    print("%s\n", decode_status(wait_for(pid)));
}

CASE(tcp_vectors_and_sendfile) {
    COVERS(writev, readv, sendfile);
    enter_scratch_directory();
    sockaddr_in address;
    int server = listener(&address), client = connected_to(address);
    int connection = MUST(accept(server, nullptr, nullptr));
    iovec out[] = {{(void*)"one ", 4}, {(void*)"two ", 4}};
    int on = 1;
    SHOW(setsockopt(connection, IPPROTO_TCP, TCP_CORK, &on, sizeof on));
    SHOW(writev(connection, out, 2));
    int file = MUST(open("file", O_RDWR | O_CREAT, 0600));
    MUST(write(file, "file", 4));
    off_t offset = 0;
    SHOW(sendfile(connection, file, &offset, 4));
    on = 0;
    SHOW(setsockopt(connection, IPPROTO_TCP, TCP_CORK, &on, sizeof on));
    char buffer[16] = "";
    SHOW(recv(client, buffer, 12, MSG_WAITALL));
    print("%s\n", buffer);
}

CASE(tcp_options) {
    COVERS(setsockopt, getsockopt);
    COVERS_ERROR(setsockopt, getsockopt);
    int fd = MUST(socket(AF_INET, SOCK_STREAM, 0)), value = 1;
    socklen_t length = sizeof value;
    SHOW(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, sizeof value));
    SHOW(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &value, sizeof value));
    SHOW(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &value, sizeof value));
    SHOW(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, sizeof value));
    SHOW(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &length));
    print("%d\n", value);
    SHOW(getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &value, &length));
    print("%d\n", value);
    SHOW(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, &length));
    print("%d\n", value);
    SHOW(getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &value, &length));
    print("%d\n", value);
    char device[16] = {};
    length = sizeof device;
    SHOW(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &length));
    print("length %u\n", length);
    SHOW(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "", 1));
    SHOW(setsockopt(fd, IPPROTO_TCP, 999, &value, sizeof value));
    SHOW(getsockopt(fd, IPPROTO_TCP, 999, &value, &length));
    SHOW(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, 1));
}

CASE(reuseport_listeners_share) {
    int first = MUST(socket(AF_INET, SOCK_STREAM, 0)), second = MUST(socket(AF_INET, SOCK_STREAM, 0)), on = 1;
    setsockopt(first, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    setsockopt(second, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    sockaddr_in address = loopback(0);
    SHOW(bind(first, (sockaddr*)&address, sizeof address));
    socklen_t length = sizeof address;
    MUST(getsockname(first, (sockaddr*)&address, &length));
    SHOW(bind(second, (sockaddr*)&address, sizeof address));
    SHOW(listen(first, 8));
    SHOW(listen(second, 8));
    for (int i = 0; i < 10; i++) connected_to(address);
    pollfd set[2] = {{first, POLLIN, 0}, {second, POLLIN, 0}};
    fcntl(first, F_SETFL, O_NONBLOCK);
    fcntl(second, F_SETFL, O_NONBLOCK);
    int accepted = 0;
    while (poll(set, 2, 200) > 0)
        for (auto& entry : set) accepted += accept(entry.fd, nullptr, nullptr) >= 0;
    print("accepted %d\n", accepted);
}

CASE(forked_workers_share_listener) {
    sockaddr_in address;
    int server = listener(&address);
    pid_t workers[3];
    for (pid_t& worker : workers)
        worker = spawn([&] {
            for (;;) {
                int connection = accept(server, nullptr, nullptr);
                char byte;
                if (connection < 0 || recv(connection, &byte, 1, 0) != 1) return 1;
                byte++;
                send(connection, &byte, 1, 0);
                close(connection);
            }
            return 0;
        });
    int right = 0;
    for (int i = 0; i < 60; i++) {
        int client = connected_to(address);
        char byte = (char)i;
        send(client, &byte, 1, 0);
        right += recv(client, &byte, 1, 0) == 1 && byte == (char)(i + 1);
        close(client);
    }
    print("right %d\n", right);
    for (pid_t worker : workers) kill(worker, SIGKILL), wait_for(worker);
}

CASE(listener_is_reusable_after_close) {
    sockaddr_in address;
    int server = listener(&address), client = connected_to(address);
    close(MUST(accept(server, nullptr, nullptr)));  // this side enters TIME_WAIT
    close(client);
    close(server);
    int on = 1;
    server = MUST(socket(AF_INET, SOCK_STREAM, 0));
    setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    SHOW(bind(server, (sockaddr*)&address, sizeof address));
    SHOW(listen(server, 5));
}
