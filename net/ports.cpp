#include "net/ports.h"

#include "core/random.h"

namespace net {

namespace {

constexpr uint16_t kFirstEphemeral = 32768, kLastEphemeral = 60999;

struct ByPort {
    using type = uint16_t;
    bool operator()(const InetSocket& a, const InetSocket& b) const { return a.port() < b.port(); }
    bool operator()(const InetSocket& a, uint16_t b) const { return a.port() < b; }
    bool operator()(uint16_t a, const InetSocket& b) const { return a < b.port(); }
};
using PortTree = core::MultiTree<InetSocket, &InetSocket::port_hook, ByPort>;

PortTree& ports_of(int type) {
    static PortTree tcp, udp;
    return type == kSockStream ? tcp : udp;
}

// Could a packet be meant for both addresses?
bool overlap(const ip_addr_t& a, const ip_addr_t& b) {
    bool any_a = IP_IS_ANY_TYPE_VAL(a), any_b = IP_IS_ANY_TYPE_VAL(b);
    if (any_a || any_b) return true;
    if (IP_GET_TYPE(&a) != IP_GET_TYPE(&b)) return false;
    return is_wildcard(a) || is_wildcard(b) || ip_addr_cmp(&a, &b);
}

// Connections without a socket (closed, waiting) and accepted ones keep the port from sockets that do not share.
bool used_by_connection(const Endpoint& endpoint) {
    for (tcp_pcb* list : {tcp_active_pcbs, tcp_tw_pcbs}) {
        for (tcp_pcb* pcb = list; pcb; pcb = pcb->next) {
            if (pcb->local_port == endpoint.port && overlap(pcb->local_ip, endpoint.address)) return true;
        }
    }
    return false;
}

}  // namespace

void claim_port(InetSocket& socket) { ports_of(socket.type()).insert(socket); }

void unclaim_port(InetSocket& socket) { socket.port_hook.unlink(); }

Result<void> check_port(InetSocket& socket, const Endpoint& endpoint, bool wants_listen) {
    auto range = ports_of(socket.type()).equal_range(endpoint.port, ByPort{});
    for (auto it = range.first; it != range.second; ++it) {
        const InetSocket& other = *it;
        if (&other == &socket || !overlap(other.bound_address(), endpoint.address)) continue;
        bool share_port = socket.reuses_port() && other.reuses_port() && socket.owner() == other.owner();
        bool share_address = socket.reuses_address() && other.reuses_address() && !other.is_listening();
        if (wants_listen) {
            // listen(2): who is only bound does not matter any more.
            if (other.is_listening() && !share_port) return fail(Errno::kAddrInUse);
        } else if (!share_port && !share_address) {
            return fail(Errno::kAddrInUse);
        }
    }
    if (!wants_listen && socket.type() == kSockStream && !socket.reuses_address() && !socket.reuses_port() &&
        used_by_connection(endpoint)) {
        return fail(Errno::kAddrInUse);
    }
    return {};
}

Result<uint16_t> pick_port(InetSocket& socket, const ip_addr_t& address) {
    constexpr unsigned kCount = kLastEphemeral - kFirstEphemeral + 1;
    PortTree& ports = ports_of(socket.type());
    unsigned start = static_cast<unsigned>(core::random_u64() % kCount);
    for (unsigned i = 0; i < kCount; i++) {
        auto port = static_cast<uint16_t>(kFirstEphemeral + (start + i) % kCount);
        auto range = ports.equal_range(port, ByPort{});
        bool taken = false;
        for (auto it = range.first; it != range.second && !taken; ++it) taken = overlap(it->bound_address(), address);
        if (taken) continue;
        if (socket.type() == kSockStream && used_by_connection({address, port})) continue;
        return port;
    }
    return fail(Errno::kAddrInUse);
}

}  // namespace net
