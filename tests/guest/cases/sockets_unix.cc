// AF_UNIX: socketpair, streams, datagrams, seqpacket, names, descriptor passing, credentials.
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "case.h"

static sockaddr_un address_of(const char* path) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    strcpy(address.sun_path, path);
    return address;
}

static int bind_to(int fd, const char* path) {
    sockaddr_un address = address_of(path);
    return bind(fd, (sockaddr*)&address, sizeof address);
}

static int connect_to(int fd, const char* path) {
    sockaddr_un address = address_of(path);
    return connect(fd, (sockaddr*)&address, sizeof address);
}

static int unix_socket(int type = SOCK_STREAM) { return MUST(socket(AF_UNIX, type, 0)); }

CASE(socketpair_both_ways) {
    COVERS(socketpair, sendto, recvfrom, shutdown);
    COVERS_ERROR(socketpair);
    int pair[2];
    SHOW(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
    SHOW(write(pair[0], "hello", 5));
    SHOW(send(pair[1], "world!", 6, 0));
    char buffer[16] = "";
    SHOW(read(pair[1], buffer, 16));
    SHOW(recv(pair[0], buffer, 3, 0));
    SHOW(recv(pair[0], buffer, 16, MSG_DONTWAIT));
    SHOW(recv(pair[0], buffer, 16, MSG_DONTWAIT));
    SHOW(socketpair(AF_INET, SOCK_STREAM, 0, pair));
    SHOW(socketpair(AF_UNIX, 77, 0, pair));
    SHOW(socketpair(99, SOCK_STREAM, 0, pair));
    SHOW(syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, bad_address()));
}

CASE(socket_errors) {
    COVERS_ERROR(socket, bind, listen, accept, accept4, connect);
    enter_scratch_directory();
    SHOW(socket(99, SOCK_STREAM, 0));
    SHOW(socket(AF_UNIX, 99, 0));
    SHOW(socket(AF_UNIX, SOCK_STREAM, 77));
    int fd = unix_socket();
    SHOW(listen(fd, 5));
    SHOW(accept(fd, nullptr, nullptr));
    SHOW(connect_to(fd, "nothing"));
    SHOW(bind_to(fd, "nothing/socket"));
    SHOW(bind_to(fd, "socket"));
    SHOW(bind_to(fd, "again"));
    SHOW(bind_to(unix_socket(), "socket"));
    SHOW(connect_to(unix_socket(), "socket"));
    SHOW(bind(0, nullptr, 0));
    SHOW(bind(-1, nullptr, 0));
    SHOW(listen(-1, 1));
    SHOW(listen(0, 1));
    SHOW(accept(-1, nullptr, nullptr));
    SHOW(accept4(fd, nullptr, nullptr, 0x1));
    SHOW(syscall(SYS_connect, fd, bad_address(), 10));
    sockaddr_un address = address_of("x");
    SHOW(bind(unix_socket(), (sockaddr*)&address, 1));
    address.sun_family = AF_INET;
    SHOW(connect(fd, (sockaddr*)&address, sizeof address));
    close(MUST(open("file", O_WRONLY | O_CREAT, 0600)));
    SHOW(connect_to(unix_socket(), "file"));
}

CASE(stream_server_and_client) {
    COVERS(socket, bind, listen, accept, accept4, connect, getsockname, getpeername);
    enter_scratch_directory();
    int server = unix_socket();
    SHOW(bind_to(server, "socket"));
    SHOW(listen(server, 5));
    pid_t pid = spawn([] {
        int client = unix_socket();
        MUST(connect_to(client, "socket"));
        char buffer[16] = "";
        MUST(write(client, "question", 8));
        MUST(read(client, buffer, 16));
        return strcmp(buffer, "answer") == 0 ? 0 : 1;
    });
    sockaddr_un peer = {};
    socklen_t length = sizeof peer;
    int connection = MUST(accept(server, (sockaddr*)&peer, &length));
    print("peer family %d length %d\n", peer.sun_family, (int)length);
    char buffer[16] = "";
    SHOW(read(connection, buffer, 16));
    print("server got %s\n", buffer);
    SHOW(write(connection, "answer", 6));
    print("%s\n", decode_status(wait_for(pid)));
    SHOW(read(connection, buffer, 16));
    length = sizeof peer;
    SHOW(getsockname(server, (sockaddr*)&peer, &length));
    print("%s %d\n", peer.sun_path, (int)length);
    int client = unix_socket();
    MUST(connect_to(client, "socket"));
    length = sizeof peer;
    SHOW(getpeername(client, (sockaddr*)&peer, &length));
    print("%s\n", peer.sun_path);
    connection = MUST(accept4(server, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    SHOW(read(connection, buffer, 16));
    SHOW(fcntl(connection, F_GETFD));
}

CASE(names_and_errors) {
    COVERS_ERROR(getsockname, getpeername);
    int fd = unix_socket();
    sockaddr_un name;
    socklen_t length = sizeof name;
    SHOW(getpeername(fd, (sockaddr*)&name, &length));
    SHOW(getsockname(-1, (sockaddr*)&name, &length));
    SHOW(getsockname(0, (sockaddr*)&name, &length));
    SHOW(getsockname(fd, (sockaddr*)&name, nullptr));
    SHOW(getsockname(fd, (sockaddr*)&name, &length));
    print("length %d\n", (int)length);
    struct stat info;
    enter_scratch_directory();
    MUST(bind_to(fd, "socket"));
    MUST(stat("socket", &info));
    CHECK(S_ISSOCK(info.st_mode));
    MUST(unlink("socket"));
    SHOW(bind_to(unix_socket(), "socket"));
}

CASE(abstract_names) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, "\0guest-test", 11);
    socklen_t length = offsetof(sockaddr_un, sun_path) + 11;
    int server = unix_socket(), client = unix_socket();
    SHOW(bind(server, (sockaddr*)&address, length));
    SHOW(bind(client, (sockaddr*)&address, length));
    SHOW(listen(server, 1));
    SHOW(connect(client, (sockaddr*)&address, length));
    close(server);
    SHOW(connect(unix_socket(), (sockaddr*)&address, length));
}

CASE(datagrams_keep_boundaries) {
    COVERS(sendto, recvfrom, sendmsg, recvmsg);
    COVERS_ERROR(sendto, recvfrom);
    enter_scratch_directory();
    int receiver = unix_socket(SOCK_DGRAM), sender = unix_socket(SOCK_DGRAM);
    MUST(bind_to(receiver, "receiver"));
    MUST(bind_to(sender, "sender"));
    sockaddr_un to = address_of("receiver"), from = {};
    SHOW(sendto(sender, "one", 3, 0, (sockaddr*)&to, sizeof to));
    SHOW(sendto(sender, "three", 5, 0, (sockaddr*)&to, sizeof to));
    char buffer[16] = "";
    socklen_t length = sizeof from;
    SHOW(recvfrom(receiver, buffer, 16, 0, (sockaddr*)&from, &length));
    print("%s from %s\n", buffer, from.sun_path);
    SHOW(recv(receiver, buffer, 2, MSG_TRUNC));
    SHOW(recv(receiver, buffer, 2, MSG_DONTWAIT));
    SHOW(send(sender, "x", 1, 0));
    MUST(connect_to(sender, "receiver"));
    SHOW(send(sender, "x", 1, 0));
    close(receiver);
    SHOW(send(sender, "x", 1, 0));
    SHOW(sendto(-1, "x", 1, 0, nullptr, 0));
    SHOW(recvfrom(-1, buffer, 1, 0, nullptr, nullptr));
    SHOW(send(0, "x", 1, 0));
}

CASE(seqpacket_records) {
    int pair[2];
    MUST(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
    SHOW(write(pair[0], "first", 5));
    SHOW(write(pair[0], "second", 6));
    char buffer[16] = "";
    SHOW(read(pair[1], buffer, 3));
    SHOW(read(pair[1], buffer, 16));
    close(pair[0]);
    SHOW(read(pair[1], buffer, 16));
}

static int send_descriptor(int socket, int fd) {
    char byte = 'd', control[CMSG_SPACE(sizeof(int))] = {};
    iovec part = {&byte, 1};
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    return sendmsg(socket, &message, 0);
}

static int receive_descriptor(int socket, int flags = 0, int* message_flags = nullptr) {
    char byte, control[CMSG_SPACE(sizeof(int))] = {};
    iovec part = {&byte, 1};
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    if (recvmsg(socket, &message, flags) < 0) return -1;
    if (message_flags) *message_flags = message.msg_flags;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (!header || header->cmsg_type != SCM_RIGHTS) return -2;
    int fd;
    memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return fd;
}

CASE(descriptors_are_passed) {
    COVERS(sendmsg, recvmsg);
    enter_scratch_directory();
    int pair[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    pid_t pid = spawn([&] {
        int fd = MUST(open("file", O_RDWR | O_CREAT, 0600));
        MUST(write(fd, "passed", 6));
        MUST(lseek(fd, 2, SEEK_SET));
        return send_descriptor(pair[1], fd) == 1 ? 0 : 1;
    });
    int fd = receive_descriptor(pair[0], MSG_CMSG_CLOEXEC);
    print("%s\n", decode_status(wait_for(pid)));
    char buffer[16] = "";
    SHOW(read(fd, buffer, 16));
    print("%s\n", buffer);
    SHOW(fcntl(fd, F_GETFD));
    SHOW(send_descriptor(pair[1], 999));
}

CASE(passed_descriptor_outlives_sender) {
    int pair[2], pipes[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    MUST(pipe(pipes));
    MUST(send_descriptor(pair[1], pipes[1]));
    close(pipes[1]);
    pollfd set = {pipes[0], POLLIN, 0};
    print("while in flight: %d\n", poll(&set, 1, 0));
    int fd = receive_descriptor(pair[0]);
    SHOW(write(fd, "x", 1));
    close(fd);
    char buffer[4];
    SHOW(read(pipes[0], buffer, 4));
    SHOW(read(pipes[0], buffer, 4));
    MUST(send_descriptor(pair[1], pipes[0]));
    char byte;
    SHOW(read(pair[0], &byte, 1));  // plain read drops the descriptor
}

CASE(unread_descriptors_are_closed) {
    int pair[2], pipes[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    MUST(pipe(pipes));
    MUST(send_descriptor(pair[1], pipes[1]));
    close(pipes[1]);
    close(pair[0]);
    close(pair[1]);
    char byte;
    SHOW(read(pipes[0], &byte, 1));
}
