// The few files that every Debian root has and no package of a program brings.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "image/tree.h"

namespace tool {

struct User {
    std::string name;
    uint32_t uid = 0;
    uint32_t gid = 0;
    std::string home = "/nonexistent";
    std::string shell = "/usr/sbin/nologin";
};

/// Adds /etc/passwd, group, hosts, hostname, nsswitch.conf, resolv.conf and the usual folders, where missing.
/// `users` come after Debian's fixed accounts; each gets a group of its own name unless the gid is a known one.
/// An empty `hostname` is "isounik".
void add_base_files(Tree& tree, const std::vector<User>& users, const std::string& hostname);

}  // namespace tool
