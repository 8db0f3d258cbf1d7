// What sockets must know of the program that calls. Defined by libc-compat/sockets.cpp (the rooms of processes lie
// above this one), and by the host tests.
#pragma once

#include <cstdint>

#include "fs/path.h"

namespace net {

// struct ucred of unix(7).
struct PeerCredentials {
    int32_t pid = 0;
    uint32_t uid = 0, gid = 0;
};

PeerCredentials current_credentials();
// Working directory, root, umask and identity, to find and make the names of AF_UNIX sockets.
fs::LookupRequest current_lookup();
// CAP_NET_BIND_SERVICE, CAP_NET_RAW and CAP_NET_ADMIN in one: effective user id 0.
bool current_is_privileged();
uint64_t current_descriptor_limit();  // RLIMIT_NOFILE

}  // namespace net
