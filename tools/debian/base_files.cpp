#include "debian/base_files.h"

#include <algorithm>
#include <iterator>

namespace tool {

namespace {

struct FixedAccount {
    const char* name;
    uint32_t uid;
    uint32_t gid;
    const char* home;
    const char* shell;
};

// The accounts that Debian fixes for every system (Debian Policy 9.2.2, uids below 100, and nobody).
constexpr FixedAccount kUsers[] = {
    {"root", 0, 0, "/root", "/bin/sh"},
    {"daemon", 1, 1, "/usr/sbin", "/usr/sbin/nologin"},
    {"bin", 2, 2, "/bin", "/usr/sbin/nologin"},
    {"sys", 3, 3, "/dev", "/usr/sbin/nologin"},
    {"mail", 8, 8, "/var/mail", "/usr/sbin/nologin"},
    {"proxy", 13, 13, "/bin", "/usr/sbin/nologin"},
    {"www-data", 33, 33, "/var/www", "/usr/sbin/nologin"},
    {"backup", 34, 34, "/var/backups", "/usr/sbin/nologin"},
    {"nobody", 65534, 65534, "/nonexistent", "/usr/sbin/nologin"},
};

struct FixedGroup {
    const char* name;
    uint32_t gid;
};

constexpr FixedGroup kGroups[] = {
    {"root", 0},   {"daemon", 1},    {"bin", 2},     {"sys", 3},    {"adm", 4},    {"tty", 5},
    {"disk", 6},   {"mail", 8},      {"proxy", 13},  {"kmem", 15},  {"www-data", 33}, {"backup", 34},
    {"utmp", 43},  {"staff", 50},    {"users", 100}, {"nogroup", 65534},
};

std::string passwd_line(const std::string& name, uint32_t uid, uint32_t gid, const std::string& home,
                        const std::string& shell) {
    return name + ":x:" + std::to_string(uid) + ':' + std::to_string(gid) + ':' + name + ':' + home + ':' + shell + '\n';
}

}  // namespace

void add_base_files(Tree& tree, const std::vector<User>& users, const std::string& name) {
    const std::string hostname = name.empty() ? "isounik" : name;
    std::string passwd, group;
    for (const FixedAccount& user : kUsers)
        passwd += passwd_line(user.name, user.uid, user.gid, user.home, user.shell);
    for (const FixedGroup& fixed : kGroups)
        group += std::string(fixed.name) + ":x:" + std::to_string(fixed.gid) + ":\n";
    for (const User& user : users) {
        passwd += passwd_line(user.name, user.uid, user.gid, user.home, user.shell);
        bool known = std::any_of(std::begin(kGroups), std::end(kGroups),
                                 [&](const FixedGroup& fixed) { return fixed.gid == user.gid; });
        if (!known) group += user.name + ":x:" + std::to_string(user.gid) + ":\n";
    }
    auto file = [&tree](const char* path, const std::string& content) {
        tree.add_if_missing(path, Node::file(content));
    };
    file("/etc/passwd", passwd);
    file("/etc/group", group);
    file("/etc/hostname", hostname + "\n");
    file("/etc/hosts", "127.0.0.1\tlocalhost " + hostname + "\n::1\tlocalhost ip6-localhost\n");
    file("/etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n"
                               "networks: files\nprotocols: files\nservices: files\n");
    file("/etc/resolv.conf", "nameserver 10.0.2.3\n");
    file("/etc/services", "ssh\t22/tcp\nsmtp\t25/tcp\ndomain\t53/tcp\ndomain\t53/udp\nhttp\t80/tcp\nhttps\t443/tcp\n");
    file("/etc/protocols", "ip\t0\tIP\nicmp\t1\tICMP\ntcp\t6\tTCP\nudp\t17\tUDP\nipv6\t41\tIPv6\n");
    tree.add_if_missing("/etc/mtab", Node::symlink("../proc/self/mounts"));
    tree.add_if_missing("/root", Node::directory({.mode = 0700}));
    for (const char* path : {"/home", "/srv", "/opt", "/mnt", "/var", "/var/cache", "/var/lib", "/var/log",
                             "/var/spool", "/usr/local", "/usr/local/bin", "/usr/local/lib"})
        tree.add_if_missing(path, Node::directory());
    tree.add_if_missing("/var/tmp", Node::directory({.mode = 01777}));
    tree.add_if_missing("/var/run", Node::symlink("/run"));
}

}  // namespace tool
