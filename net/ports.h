// Which ports are taken by whom, TCP and UDP apart. lwIP is told that everybody shares (SO_REUSEADDR on every
// connection), so that Linux's rules can be applied here (socket(7)).
#pragma once

#include "net/inet_socket.h"

namespace net {

// Enters `socket` under socket.port(). Caller holds the stack.
void claim_port(InetSocket& socket);
void unclaim_port(InetSocket& socket);
// EADDRINUSE if `socket` may not use `endpoint` besides those that are there. `wants_listen`: it is about to
// listen, so that a listening socket on the same address conflicts even with SO_REUSEADDR.
Result<void> check_port(InetSocket& socket, const Endpoint& endpoint, bool wants_listen = false);
// A port of the range 32768 to 60999 (ip_local_port_range) that nobody uses at this address. EADDRINUSE.
Result<uint16_t> pick_port(InetSocket& socket, const ip_addr_t& address);

}  // namespace net
