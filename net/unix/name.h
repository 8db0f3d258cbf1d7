// Names of AF_UNIX sockets (unix(7)): paths, abstract names, and which socket has one.
#pragma once

#include "core/intrusive.h"
#include "core/memory.h"
#include "fs/inode.h"
#include "net/socket.h"

namespace net {

class UnixEndpoint;

// A name that a socket was bound to. Accepted sockets share their listener's.
struct UnixName final : core::RefCounted {
    SocketAddress address;    // as getsockname(2) gives it
    Ref<fs::Inode> inode;     // path names
    UnixEndpoint* owner = nullptr;  // guarded by the table's lock; null when the owner has closed
    core::ListHook hook;
};

// Kinds of addresses: EINVAL for wrong families and sizes. A size of 2 asks bind(2) for an automatic name.
struct UnixAddress {
    std::string_view path;      // path names, without NUL
    std::string_view abstract;  // abstract names, without the leading NUL
    bool automatic = false;
};
// The views point into `address`. ENOENT for connect(2) to an empty path is left to the caller.
Result<UnixAddress> parse_unix_address(const SocketAddress& address);

// bind(2): makes the name and enters it for `owner`. EADDRINUSE; for paths the errors of mknod(2).
Result<Ref<UnixName>> bind_unix_name(const SocketAddress& address, UnixEndpoint& owner);
// The owner closes: nobody finds it any more.
void retire_unix_name(UnixName& name);
// The socket with that name. ECONNREFUSED if there is none; for paths the errors of path_resolution(7), and EACCES
// without write permission.
Result<Ref<UnixEndpoint>> find_unix_endpoint(const SocketAddress& address);

}  // namespace net
