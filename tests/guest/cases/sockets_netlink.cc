// AF_NETLINK: what getifaddrs(3) and if_nameindex(3) ask, on the loopback interface, which every machine has.
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include "case.h"

CASE(interface_addresses) {
    ifaddrs* list = nullptr;
    SHOW(getifaddrs(&list));
    for (ifaddrs* entry = list; entry; entry = entry->ifa_next) {
        if (strcmp(entry->ifa_name, "lo") != 0 || !entry->ifa_addr) continue;
        int family = entry->ifa_addr->sa_family;
        char address[64] = "-", mask[64] = "-";
        if (family == AF_INET || family == AF_INET6) {
            auto part = [&](sockaddr* from) -> void* {
                if (family == AF_INET) return &((sockaddr_in*)from)->sin_addr;
                return &((sockaddr_in6*)from)->sin6_addr;
            };
            inet_ntop(family, part(entry->ifa_addr), address, sizeof address);
            if (entry->ifa_netmask) inet_ntop(family, part(entry->ifa_netmask), mask, sizeof mask);
        }
        print("lo: family %d, address %s, mask %s, up %d, loopback %d, running %d\n", family, address, mask,
              !!(entry->ifa_flags & IFF_UP), !!(entry->ifa_flags & IFF_LOOPBACK), !!(entry->ifa_flags & IFF_RUNNING));
    }
    freeifaddrs(list);
    struct if_nameindex* names = if_nameindex();
    for (struct if_nameindex* name = names; name && name->if_index; name++) {
        if (strcmp(name->if_name, "lo") == 0) print("lo has number %u\n", name->if_index);
    }
    if_freenameindex(names);
}

struct Request {
    nlmsghdr header;
    union {
        rtgenmsg general;
        ifinfomsg link;
    };
};

static int ask(int fd, uint16_t type, uint16_t flags, int index) {
    Request request = {};
    request.header = {sizeof request, type, (uint16_t)(NLM_F_REQUEST | flags), 77, 0};
    request.link.ifi_index = index;
    return (int)send(fd, &request, sizeof request, 0);
}

// Prints the messages of one datagram that concern loopback; true after the last of a dump.
static bool show_answer(int fd) {
    alignas(8) static char buffer[16384];
    sockaddr_nl from = {};
    socklen_t size = sizeof from;
    ssize_t length = recvfrom(fd, buffer, sizeof buffer, 0, (sockaddr*)&from, &size);
    if (length < 0) {
        print("recvfrom: %s\n", errno_name(errno));
        return true;
    }
    bool over = true;
    for (auto* header = (nlmsghdr*)buffer; NLMSG_OK(header, length); header = NLMSG_NEXT(header, length)) {
        over = !(header->nlmsg_flags & NLM_F_MULTI) || header->nlmsg_type == NLMSG_DONE;
        if (header->nlmsg_seq != 77) print("a wrong sequence number\n");
        if (header->nlmsg_type == NLMSG_DONE) print("done\n");
        if (header->nlmsg_type == NLMSG_ERROR) {
            int error = ((nlmsgerr*)NLMSG_DATA(header))->error;
            print("error %s\n", error ? errno_name(-error) : "0");
        }
        if (header->nlmsg_type != RTM_NEWLINK) continue;
        auto* link = (ifinfomsg*)NLMSG_DATA(header);
        if (link->ifi_index != 1) continue;
        print("link 1, type %d, from %u\n", link->ifi_type, from.nl_pid);
        int left = (int)IFLA_PAYLOAD(header);
        for (auto* attribute = IFLA_RTA(link); RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
            if (attribute->rta_type == IFLA_IFNAME) print("name %s\n", (char*)RTA_DATA(attribute));
            if (attribute->rta_type == IFLA_MTU) print("mtu %u\n", *(uint32_t*)RTA_DATA(attribute));
            if (attribute->rta_type == IFLA_ADDRESS) print("hardware address of %d bytes\n", (int)RTA_PAYLOAD(attribute));
        }
    }
    return over;
}

CASE(route_requests) {
    int fd = MUST(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    sockaddr_nl address = {};
    address.nl_family = AF_NETLINK;
    SHOW(bind(fd, (sockaddr*)&address, sizeof address));
    socklen_t size = sizeof address;
    SHOW(getsockname(fd, (sockaddr*)&address, &size));
    CHECK(address.nl_pid != 0 && size == sizeof address);
    SHOW(ask(fd, RTM_GETLINK, NLM_F_DUMP, 0));
    while (!show_answer(fd)) {
    }
    SHOW(ask(fd, RTM_GETLINK, 0, 1));
    show_answer(fd);
    SHOW(ask(fd, RTM_GETLINK, 0, 4711));
    show_answer(fd);
    SHOW(ask(fd, RTM_GETLINK, 0, 0));
    show_answer(fd);
    SHOW(ask(fd, NLMSG_NOOP, NLM_F_ACK, 0));
    SHOW(recv(fd, &address, 4, MSG_DONTWAIT));
    // Peeking, and a buffer that is too short.
    SHOW(ask(fd, RTM_GETLINK, 0, 4711));
    char small[4];
    SHOW(recv(fd, small, sizeof small, MSG_PEEK));
    CHECK(recv(fd, small, sizeof small, MSG_PEEK | MSG_TRUNC) > 16);
    SHOW(recv(fd, small, sizeof small, 0));
    SHOW(recv(fd, small, sizeof small, MSG_DONTWAIT));
    pollfd ready = {fd, POLLIN | POLLOUT, 0};
    SHOW(poll(&ready, 1, 0));
    CHECK(ready.revents == POLLOUT);
}

CASE(netlink_errors) {
    SHOW(socket(AF_NETLINK, SOCK_STREAM, NETLINK_ROUTE));
    SHOW(socket(AF_NETLINK, SOCK_RAW, 77));
    SHOW(socket(AF_NETLINK, SOCK_RAW, -1));
    int fd = MUST(socket(AF_NETLINK, SOCK_DGRAM, NETLINK_ROUTE));
    sockaddr_nl address = {};
    address.nl_family = AF_NETLINK;
    SHOW(bind(fd, (sockaddr*)&address, 8));
    address.nl_family = AF_INET;
    SHOW(bind(fd, (sockaddr*)&address, sizeof address));
    address.nl_family = AF_NETLINK;
    address.nl_pid = 123456;
    SHOW(bind(fd, (sockaddr*)&address, sizeof address));
    SHOW(bind(fd, (sockaddr*)&address, sizeof address));
    address.nl_pid = 123457;
    SHOW(bind(fd, (sockaddr*)&address, sizeof address));
    SHOW(listen(fd, 1));
    SHOW(accept(fd, nullptr, nullptr));
    SHOW(shutdown(fd, SHUT_RDWR));
    SHOW(recv(fd, &address, sizeof address, MSG_DONTWAIT));
    // Somebody else's socket that is not there.
    address.nl_pid = 999999;
    SHOW(sendto(fd, &address, sizeof address, 0, (sockaddr*)&address, sizeof address));
}
