// sockaddr_in and sockaddr_in6 (ip(7), ipv6(7)) and what they mean to the stack.
#pragma once

#include "net/lwip_headers.h"
#include "net/socket.h"

namespace net {

// An address and a port (host byte order). IPv4-mapped IPv6 addresses are IPv4 ones here.
struct Endpoint {
    ip_addr_t address{};  // type V4, V6, or ANY for a dual-stack wildcard
    uint16_t port = 0;
};

// The wildcard of a socket of `family`: 0.0.0.0, ::, or (not v6only) both.
ip_addr_t wildcard(int family, bool v6_only);
bool is_wildcard(const ip_addr_t& address);
inline bool same_address(const ip_addr_t& a, const ip_addr_t& b) {
    return IP_GET_TYPE(&a) == IP_GET_TYPE(&b) && ip_addr_cmp(&a, &b);
}

// Decodes an address given to a socket of `family` (EINVAL: too short; EAFNOSUPPORT: other family). The wildcard
// of IPv6 becomes type ANY unless `v6_only`; an IPv4-mapped address with `v6_only` is EINVAL.
Result<Endpoint> decode_address(const SocketAddress& address, int family, bool v6_only);
// As a socket of `family` shows it: AF_INET6 sockets map IPv4 addresses.
SocketAddress encode_address(const Endpoint& endpoint, int family);

// Any interface has it (or it is a wildcard). Caller holds the stack.
bool is_local(const ip_addr_t& address);
// Linux connects to itself if asked to connect to the wildcard.
ip_addr_t wildcard_to_loopback(const ip_addr_t& address);

Errno to_errno(err_t error);

}  // namespace net
