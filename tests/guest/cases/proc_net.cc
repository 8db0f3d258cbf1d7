// /proc/net: sockets, with the inode numbers that fstat(2) gives, and what went over the loopback interface.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "case.h"

struct Row {
    bool found = false;
    char local[64], remote[64];
    unsigned state = 0, unsent = 0, unread = 0;
    unsigned long inode = 0;
};

// The row of `file` in which the local port is `local` and the remote one `remote`.
static Row find(const char* file, unsigned local, unsigned remote) {
    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/net/%s", file);
    FILE* rows = fopen(path, "r");
    Row row;
    while (rows && !row.found && fgets(line, sizeof line, rows)) {
        unsigned local_port, remote_port;
        int fields = sscanf(line, " %*d: %40[0-9A-F]:%4X %40[0-9A-F]:%4X %2X %8X:%8X %*s %*s %*u %*u %lu", row.local,
                            &local_port, row.remote, &remote_port, &row.state, &row.unsent, &row.unread, &row.inode);
        row.found = fields == 8 && local_port == local && remote_port == remote;
    }
    if (rows) fclose(rows);
    return row;
}

static unsigned long inode_of(int fd) {
    struct stat status;
    return fstat(fd, &status) == 0 ? status.st_ino : 0;
}

static void show(const char* what, const Row& row, int fd) {
    if (!row.found) return print("%s: no row\n", what);
    // In other states Linux counts the FIN as a byte.
    if (row.state == 1) print("%s has %u bytes to read\n", what, row.unread);
    print("%s: %s to %s, state %02X, inode %s\n", what, row.local, row.remote, row.state,
          fd < 0 ? row.inode == 0 ? "none" : "of a socket" : row.inode == inode_of(fd) ? "right" : "wrong");
}

static unsigned port_of(int fd) {
    sockaddr_in6 address = {};
    socklen_t size = sizeof address;
    getsockname(fd, (sockaddr*)&address, &size);
    return ntohs(address.sin6_port);
}

static int listener(int family, unsigned* port) {
    int fd = socket(family, SOCK_STREAM, 0);
    sockaddr_in6 any6 = {};
    sockaddr_in any4 = {};
    any6.sin6_family = AF_INET6;
    any4.sin_family = AF_INET;
    if (family == AF_INET) SHOW(bind(fd, (sockaddr*)&any4, sizeof any4));
    else SHOW(bind(fd, (sockaddr*)&any6, sizeof any6));
    SHOW(listen(fd, 5));
    *port = port_of(fd);
    return fd;
}

static int connect_to(unsigned port) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    SHOW(connect(fd, (sockaddr*)&address, sizeof address));
    return fd;
}

static Row wait_for_state(const char* file, unsigned local, unsigned remote, unsigned state) {
    Row row;
    for (int i = 0; i < 500; i++) {
        row = find(file, local, remote);
        if (row.found && row.state == state) break;
        sleep_ms(10);
    }
    return row;
}

CASE(tcp_rows) {
    unsigned port;
    int listening = listener(AF_INET, &port);
    show("listening", find("tcp", port, 0), listening);
    int client = connect_to(port), server = accept(listening, nullptr, nullptr);
    unsigned own = port_of(client);
    SHOW(send(client, "hello", 5, 0));
    show("client", find("tcp", own, port), client);
    show("server", find("tcp", port, own), server);
    close(client);
    show("server whose peer has closed", wait_for_state("tcp", port, own, 8), server);
    show("closed client", wait_for_state("tcp", own, port, 5), -1);
    close(listening);
    print("the listening socket has gone: %d\n", !find("tcp", port, 0).found);
}

CASE(tcp6_rows_of_a_dual_stack_socket) {
    unsigned port;
    int listening = listener(AF_INET6, &port);
    show("listening", find("tcp6", port, 0), listening);
    int client = connect_to(port), server = accept(listening, nullptr, nullptr);
    unsigned own = port_of(client);
    show("client", find("tcp", own, port), client);
    show("server", find("tcp6", port, own), server);
    print("not in tcp: %d\n", !find("tcp", port, own).found);
}

CASE(udp_rows) {
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    SHOW(bind(fd, (sockaddr*)&address, sizeof address));
    unsigned port = port_of(fd);
    show("bound", find("udp", port, 0), fd);
    address.sin_port = htons((uint16_t)port);
    SHOW(connect(fd, (sockaddr*)&address, sizeof address));
    show("connected to itself", find("udp", port, port), fd);
    SHOW(send(fd, "datagram", 8, 0));
    print("something waits: %d\n", find("udp", port, port).unread > 0);
}

// "FLAGS TYPE STATE NAME" of the AF_UNIX socket that `fd` is.
static void show_unix(const char* what, int fd) {
    char line[512];
    FILE* rows = fopen("/proc/net/unix", "r");
    while (rows && fgets(line, sizeof line, rows)) {
        unsigned flags, type, state;
        unsigned long inode;
        char name[256] = "";
        if (sscanf(line, "%*x: %*x %*x %x %x %x %lu %255s", &flags, &type, &state, &inode, name) < 4) continue;
        if (inode != inode_of(fd)) continue;
        print("%s: flags %08X, type %04X, state %02X, name '%s'\n", what, flags, type, state, name);
    }
    if (rows) fclose(rows);
}

CASE(unix_rows) {
    enter_scratch_directory();
    int pair[2];
    SHOW(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
    show_unix("one of a pair", pair[0]);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    show_unix("fresh", fd);
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    strcpy(address.sun_path, "name");
    SHOW(bind(fd, (sockaddr*)&address, sizeof address));
    SHOW(listen(fd, 1));
    show_unix("listening", fd);
    int abstract = socket(AF_UNIX, SOCK_DGRAM, 0);
    memcpy(address.sun_path, "\0hid\0den", 8);
    SHOW(bind(abstract, (sockaddr*)&address, (socklen_t)(offsetof(sockaddr_un, sun_path) + 8)));
    show_unix("abstract", abstract);
}

static unsigned long loopback_packets(bool sent) {
    char line[512];
    unsigned long received = 0, transmitted = 0;
    FILE* rows = fopen("/proc/net/dev", "r");
    while (rows && fgets(line, sizeof line, rows)) {
        if (sscanf(line, " lo: %*u %lu %*u %*u %*u %*u %*u %*u %*u %lu", &received, &transmitted) == 2) break;
    }
    if (rows) fclose(rows);
    return sent ? transmitted : received;
}

CASE(loopback_is_counted) {
    unsigned long received = loopback_packets(false), sent = loopback_packets(true);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bind(fd, (sockaddr*)&address, sizeof address);
    address.sin_port = htons((uint16_t)port_of(fd));
    for (int i = 0; i < 3; i++) SHOW(sendto(fd, "x", 1, 0, (sockaddr*)&address, sizeof address));
    print("at least three packets more: %d, %d\n", loopback_packets(false) >= received + 3,
          loopback_packets(true) >= sent + 3);
    char line[256];
    FILE* rows = fopen("/proc/net/if_inet6", "r");
    while (rows && fgets(line, sizeof line, rows))
        if (strstr(line, " lo\n")) print("%s", line);
    if (rows) fclose(rows);
}
