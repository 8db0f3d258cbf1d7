// UDP and IPv6 over loopback, and what sockets of other families say.
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "case.h"

static sockaddr_in loopback(int port) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static int bound(sockaddr_in* address) {
    int fd = MUST(socket(AF_INET, SOCK_DGRAM, 0));
    *address = loopback(0);
    MUST(bind(fd, (sockaddr*)address, sizeof *address));
    socklen_t length = sizeof *address;
    MUST(getsockname(fd, (sockaddr*)address, &length));
    return fd;
}

CASE(udp_datagrams) {
    COVERS(sendto, recvfrom, bind);
    sockaddr_in first, second, from = {};
    int a = bound(&first), b = bound(&second);
    SHOW(sendto(a, "datagram", 8, 0, (sockaddr*)&second, sizeof second));
    SHOW(sendto(a, "", 0, 0, (sockaddr*)&second, sizeof second));
    char buffer[16] = "";
    socklen_t length = sizeof from;
    SHOW(recvfrom(b, buffer, 16, 0, (sockaddr*)&from, &length));
    CHECK(from.sin_port == first.sin_port);
    print("%s\n", buffer);
    SHOW(recvfrom(b, buffer, 16, 0, (sockaddr*)&from, &length));
    SHOW(recvfrom(b, buffer, 16, MSG_DONTWAIT, (sockaddr*)&from, &length));
}

CASE(udp_truncates) {
    sockaddr_in address;
    int receiver = bound(&address), sender = MUST(socket(AF_INET, SOCK_DGRAM, 0));
    MUST(sendto(sender, "0123456789", 10, 0, (sockaddr*)&address, sizeof address));
    MUST(sendto(sender, "next", 4, 0, (sockaddr*)&address, sizeof address));
    char buffer[16];
    int queued = 0;
    pollfd set = {receiver, POLLIN, 0};
    SHOW(poll(&set, 1, 5000));
    SHOW(ioctl(receiver, FIONREAD, &queued));
    print("queued %d\n", queued);
    SHOW(recv(receiver, buffer, 4, 0));
    SHOW(recv(receiver, buffer, 16, 0));
}

CASE(udp_connected) {
    COVERS(connect);
    COVERS_ERROR(sendto);
    sockaddr_in address, other_address;
    int receiver = bound(&address), other = bound(&other_address);
    int sender = MUST(socket(AF_INET, SOCK_DGRAM, 0));
    SHOW(send(sender, "x", 1, 0));
    SHOW(connect(sender, (sockaddr*)&address, sizeof address));
    SHOW(send(sender, "x", 1, 0));
    char byte;
    SHOW(recv(receiver, &byte, 1, 0));
    sockaddr_in own;
    socklen_t length = sizeof own;
    MUST(getsockname(sender, (sockaddr*)&own, &length));
    MUST(sendto(other, "y", 1, 0, (sockaddr*)&own, sizeof own));  // not from the connected peer
    SHOW(recv(sender, &byte, 1, MSG_DONTWAIT));
    sockaddr unspecified = {};
    unspecified.sa_family = AF_UNSPEC;
    SHOW(connect(sender, &unspecified, sizeof unspecified));
    SHOW(send(sender, "x", 1, 0));
}

CASE(udp_refused) {
    COVERS_ERROR(recvfrom);
    sockaddr_in address;
    close(bound(&address));
    int sender = MUST(socket(AF_INET, SOCK_DGRAM, 0));
    MUST(connect(sender, (sockaddr*)&address, sizeof address));
    SHOW(send(sender, "x", 1, 0));
    char byte;
    timeval timeout = {5, 0};
    setsockopt(sender, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    SHOW(recv(sender, &byte, 1, 0));
}

CASE(udp_too_large) {
    COVERS_ERROR(sendto);
    sockaddr_in address;
    bound(&address);
    int sender = MUST(socket(AF_INET, SOCK_DGRAM, 0));
    static char block[70000];
    SHOW(sendto(sender, block, 65508, 0, (sockaddr*)&address, sizeof address));
    SHOW(sendto(sender, block, 10, 0, (sockaddr*)&address, 4));
    SHOW(syscall(SYS_sendto, sender, block, 10, 0, bad_address(), sizeof address));
    SHOW(syscall(SYS_sendto, sender, bad_address(), 10, 0, &address, sizeof address));
}

CASE(ipv6_stream) {
    COVERS(socket, bind, connect);
    int server = MUST(socket(AF_INET6, SOCK_STREAM, 0));
    sockaddr_in6 address = {};
    address.sin6_family = AF_INET6;
    address.sin6_addr = in6addr_loopback;
    SHOW(bind(server, (sockaddr*)&address, sizeof address));
    SHOW(listen(server, 5));
    socklen_t length = sizeof address;
    MUST(getsockname(server, (sockaddr*)&address, &length));
    int client = MUST(socket(AF_INET6, SOCK_STREAM, 0));
    SHOW(connect(client, (sockaddr*)&address, sizeof address));
    sockaddr_in6 peer = {};
    length = sizeof peer;
    int connection = MUST(accept(server, (sockaddr*)&peer, &length));
    char text[64];
    print("%s %d\n", inet_ntop(AF_INET6, &peer.sin6_addr, text, sizeof text), (int)length);
    SHOW(send(client, "six", 3, 0));
    SHOW(recv(connection, text, 64, 0));
}

CASE(ipv6_accepts_ipv4) {
    int server = MUST(socket(AF_INET6, SOCK_STREAM, 0)), off = 0;
    MUST(setsockopt(server, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off));
    sockaddr_in6 address = {};
    address.sin6_family = AF_INET6;
    MUST(bind(server, (sockaddr*)&address, sizeof address));
    MUST(listen(server, 5));
    socklen_t length = sizeof address;
    MUST(getsockname(server, (sockaddr*)&address, &length));
    sockaddr_in target = loopback(ntohs(address.sin6_port));
    int client = MUST(socket(AF_INET, SOCK_STREAM, 0));
    SHOW(connect(client, (sockaddr*)&target, sizeof target));
    sockaddr_in6 peer = {};
    length = sizeof peer;
    SHOW_OK(accept(server, (sockaddr*)&peer, &length));
    char text[64];
    print("%s\n", inet_ntop(AF_INET6, &peer.sin6_addr, text, sizeof text));
}

CASE(inet_socket_arguments) {
    COVERS_ERROR(socket);
    SHOW(socket(AF_INET, 99, 0));
    SHOW(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
    SHOW_OK(socket(AF_INET, SOCK_STREAM, IPPROTO_TCP));
    SHOW_OK(socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP));
    int fd = MUST(socket(AF_INET, SOCK_DGRAM, 0));
    SHOW(listen(fd, 5));
    SHOW(accept(fd, nullptr, nullptr));
}

CASE(loopback_interface) {
    COVERS(ioctl);
    int fd = MUST(socket(AF_INET, SOCK_DGRAM, 0));
    ifreq request = {};
    strcpy(request.ifr_name, "lo");
    SHOW(ioctl(fd, SIOCGIFFLAGS, &request));
    CHECK(request.ifr_flags & IFF_UP);
    CHECK(request.ifr_flags & IFF_LOOPBACK);
    SHOW(ioctl(fd, SIOCGIFADDR, &request));
    print("%s\n", inet_ntoa(((sockaddr_in*)&request.ifr_addr)->sin_addr));
    strcpy(request.ifr_name, "nothing0");
    SHOW(ioctl(fd, SIOCGIFFLAGS, &request));
}
