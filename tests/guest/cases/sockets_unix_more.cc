// AF_UNIX: blocking, shutdown, options, credentials, many messages.
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "case.h"

CASE(peer_credentials) {
    COVERS(getsockopt);
    int pair[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    ucred peer = {};
    socklen_t length = sizeof peer;
    SHOW(getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &peer, &length));
    CHECK(peer.pid == getpid());
    print("uid %u gid %u length %u\n", peer.uid, peer.gid, length);
}

CASE(passed_credentials) {
    COVERS(setsockopt, recvmsg);
    int pair[2], on = 1;
    MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    SHOW(setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
    pid_t pid = spawn([&] { return write(pair[0], "x", 1) == 1 ? 0 : 1; });
    wait_for(pid);
    char byte, control[256];
    iovec part = {&byte, 1};
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    SHOW(recvmsg(pair[1], &message, 0));
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    CHECK(header && header->cmsg_type == SCM_CREDENTIALS);
    if (header) CHECK(((ucred*)CMSG_DATA(header))->pid == pid);
}

CASE(socket_options) {
    COVERS(getsockopt, setsockopt);
    COVERS_ERROR(getsockopt, setsockopt);
    int fd = MUST(socket(AF_UNIX, SOCK_STREAM, 0)), value = 0;
    socklen_t length = sizeof value;
    SHOW(getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &length));
    CHECK(value == SOCK_STREAM);
    SHOW(getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &value, &length));
    CHECK(value == AF_UNIX);
    SHOW(getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &length));
    print("%d\n", value);
    SHOW(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &length));
    print("%d\n", value);
    value = 65536;
    SHOW(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &value, sizeof value));
    SHOW(setsockopt(fd, SOL_SOCKET, 9999, &value, sizeof value));
    SHOW(setsockopt(fd, 77, 1, &value, sizeof value));
    SHOW(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &value, 1));
    SHOW(setsockopt(-1, SOL_SOCKET, SO_REUSEADDR, &value, 4));
    SHOW(setsockopt(0, SOL_SOCKET, SO_REUSEADDR, &value, 4));
    SHOW(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, bad_address(), 4));
    SHOW(getsockopt(fd, SOL_SOCKET, 9999, &value, &length));
    SHOW(getsockopt(-1, SOL_SOCKET, SO_TYPE, &value, &length));
    SHOW(getsockopt(0, SOL_SOCKET, SO_TYPE, &value, &length));
    SHOW(getsockopt(fd, SOL_SOCKET, SO_TYPE, bad_address(), &length));
}

CASE(shutdown_directions) {
    COVERS(shutdown);
    COVERS_ERROR(shutdown, sendto);
    signal(SIGPIPE, SIG_IGN);
    int pair[2];
    char byte;
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    SHOW(shutdown(pair[0], SHUT_WR));
    SHOW(read(pair[1], &byte, 1));
    SHOW(write(pair[0], "x", 1));
    SHOW(write(pair[1], "x", 1));
    SHOW(shutdown(pair[0], SHUT_RD));
    SHOW(write(pair[1], "x", 1));
    SHOW(shutdown(pair[0], 77));
    SHOW(shutdown(-1, SHUT_RD));
    SHOW(shutdown(0, SHUT_RD));
    SHOW(shutdown(MUST(socket(AF_UNIX, SOCK_STREAM, 0)), SHUT_RD));
}

CASE(write_to_closed_peer) {
    COVERS_ERROR(sendto, sendmsg);
    int pair[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    close(pair[1]);
    show_child("write", [&] {
        SHOW(write(pair[0], "x", 1));
        return 0;
    });
    show_child("send without signal", [&] {
        SHOW(send(pair[0], "x", 1, MSG_NOSIGNAL));
        return 0;
    });
    char byte;
    SHOW(read(pair[0], &byte, 1));
}

CASE(unread_data_resets_peer) {
    int pair[2];
    char byte;
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    MUST(write(pair[0], "unread", 6));
    close(pair[1]);
    SHOW(read(pair[0], &byte, 1));
    SHOW(read(pair[0], &byte, 1));
}

CASE(peek_and_waitall) {
    COVERS(recvfrom);
    int pair[2];
    char buffer[16] = "";
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    MUST(write(pair[0], "abc", 3));
    SHOW(recv(pair[1], buffer, 16, MSG_PEEK));
    SHOW(recv(pair[1], buffer, 2, 0));
    pid_t pid = spawn([&] {
        sleep_ms(30);
        return write(pair[0], "defgh", 5) == 5 ? 0 : 1;
    });
    SHOW(recv(pair[1], buffer, 6, MSG_WAITALL));
    print("%.6s\n", buffer);
    wait_for(pid);
    int left = -1;
    SHOW(ioctl(pair[1], FIONREAD, &left));
    print("left %d\n", left);
}

CASE(receive_timeout) {
    COVERS(setsockopt);
    int pair[2];
    char byte;
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    timeval timeout = {0, 50000};
    SHOW(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout));
    int64_t start = monotonic_ms();
    SHOW(recv(pair[0], &byte, 1, 0));
    CHECK(monotonic_ms() - start >= 45);
}

CASE(stream_bulk) {
    int pair[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    pid_t pid = spawn([&] {
        close(pair[0]);
        static char block[8191];
        for (int i = 0; i < 200; i++) {
            memset(block, i, sizeof block);
            for (size_t done = 0; done < sizeof block;) {
                ssize_t n = write(pair[1], block + done, sizeof block - done);
                if (n <= 0) return 1;
                done += n;
            }
        }
        return 0;
    });
    close(pair[1]);
    static unsigned char buffer[5000];
    unsigned long total = 0, wrong = 0;
    ssize_t n;
    while ((n = read(pair[0], buffer, sizeof buffer)) > 0)
        for (ssize_t i = 0; i < n; i++, total++) wrong += buffer[i] != (unsigned char)(total / 8191);
    print("total %lu wrong %lu\n", total, wrong);
    print("%s\n", decode_status(wait_for(pid)));
}

CASE(nonblocking_stream_fills_up) {
    int pair[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
    static char block[4096];
    long total = 0;
    ssize_t n;
    while ((n = write(pair[0], block, sizeof block)) > 0) total += n;
    print("%s\n", errno_name(errno));
    CHECK(total >= 65536);
    pollfd set = {pair[0], POLLOUT, 0};
    SHOW(poll(&set, 1, 0));
    long drained = 0;
    while ((n = read(pair[1], block, sizeof block)) > 0) drained += n;
    CHECK(drained == total);
    SHOW(poll(&set, 1, 0));
}

CASE(accept_backlog_and_nonblocking_connect) {
    COVERS_ERROR(connect, accept4);
    enter_scratch_directory();
    int server = MUST(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
    sockaddr_un address = {AF_UNIX, "socket"};
    MUST(bind(server, (sockaddr*)&address, sizeof address));
    MUST(listen(server, 1));
    SHOW(accept4(server, nullptr, nullptr, 0));
    int connected = 0;
    for (int i = 0; i < 5; i++) {
        int client = MUST(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
        if (connect(client, (sockaddr*)&address, sizeof address) == 0)
            connected++;
        else
            print("%d: %s\n", i, errno_name(errno));
    }
    print("connected %d\n", connected);
    pollfd set = {server, POLLIN, 0};
    SHOW(poll(&set, 1, 0));
    int accepted = 0;
    while (accept(server, nullptr, nullptr) >= 0) accepted++;
    print("accepted %d\n", accepted);
}

CASE(sendmmsg_recvmmsg) {
    COVERS(sendmmsg, recvmmsg);
    COVERS_ERROR(sendmmsg, recvmmsg, recvmsg);
    int pair[2];
    MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    char a[8] = "one", b[8] = "two";
    iovec parts[2] = {{a, 3}, {b, 3}};
    mmsghdr messages[2] = {};
    for (int i = 0; i < 2; i++) messages[i].msg_hdr.msg_iov = &parts[i], messages[i].msg_hdr.msg_iovlen = 1;
    SHOW(sendmmsg(pair[0], messages, 2, 0));
    char c[8] = "", d[8] = "";
    iovec targets[2] = {{c, 8}, {d, 8}};
    for (int i = 0; i < 2; i++) messages[i].msg_hdr.msg_iov = &targets[i];
    SHOW(recvmmsg(pair[1], messages, 2, 0, nullptr));
    print("%s %u %s %u\n", c, messages[0].msg_len, d, messages[1].msg_len);
    SHOW(recvmmsg(pair[1], messages, 2, MSG_DONTWAIT, nullptr));
    SHOW(sendmmsg(-1, messages, 2, 0));
    SHOW(recvmmsg(-1, messages, 2, 0, nullptr));
    SHOW(syscall(SYS_recvmsg, pair[1], bad_address(), 0));
    SHOW(syscall(SYS_sendmsg, pair[1], bad_address(), 0));
}
