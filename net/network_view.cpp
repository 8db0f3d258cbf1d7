// The tables of /proc/net (proc_net(5)): interfaces, routes, and sockets as the stack has them.
#include "fs/proc/network_view.h"

#include <cstring>

#include "net/interface.h"
#include "net/lwip_headers.h"
#include "net/network_view.h"
#include "net/stack_lock.h"
#include "net/tcp_socket.h"
#include "net/udp_socket.h"
#include "net/unix/unix_socket.h"

namespace net {

const TcpSocket* TcpSocket::of(const tcp_pcb& pcb) {
    return pcb.recv == on_received ? static_cast<const TcpSocket*>(pcb.callback_arg) : nullptr;
}

TcpSocket::Waiting TcpSocket::waiting() const {
    if (state_ == State::kListening) return {static_cast<size_t>(backlog_), static_cast<size_t>(accept_count_)};
    return {pcb_ && state_ == State::kConnected ? queued_bytes() : 0, received_.size()};
}

const UdpSocket* UdpSocket::of(const udp_pcb& pcb) {
    return pcb.recv == on_received ? static_cast<const UdpSocket*>(pcb.recv_arg) : nullptr;
}

namespace {

using fs::proc::Text;
using fs::proc::kRouteWidth, fs::proc::kTcpWidth, fs::proc::kUdpWidth;

constexpr uint8_t kUdpConnected = 1, kUdpUnconnected = 7;  // as TCP_ESTABLISHED and TCP_CLOSE

Text& capitals(Text& text, uint64_t value, unsigned digits) { return text.hex(value, digits, Text::Letters::kCapital); }

// Words of an address in the machine's byte order, a colon, and the port.
void add_endpoint(Text& text, int family, const ip_addr_t& address, uint16_t port) {
    uint32_t words[4] = {};
    if (IP_IS_V6_VAL(address)) {
        std::memcpy(words, ip_2_ip6(&address)->addr, sizeof words);
    } else if (!is_wildcard(address)) {
        words[2] = PP_HTONL(0xffff);
        words[3] = ip4_addr_get_u32(ip_2_ip4(&address));
    }
    for (unsigned i = family == kAfInet ? 3 : 0; i < 4; i++) capitals(text, words[i], 8);
    capitals(text << ':', port, 4);
}

// One socket's line in tcp, tcp6, udp or udp6.
struct Line {
    Endpoint local, remote;
    uint8_t state = 0;
    size_t unsent = 0, unread = 0;
    uint32_t retransmissions = 0, owner = 0;
    uint64_t inode = 0;
};

class Lines {
  public:
    Lines(Text& text, int family, int protocol) : text_(text), family_(family), udp_(protocol == kSolUdp) {}

    int family() const { return family_; }

    void add(const Line& line) {
        const size_t start = text_.length();
        text_.decimal(number_++, udp_ ? 5 : 4) << ": ";
        add_endpoint(text_, family_, line.local.address, line.local.port);
        add_endpoint(text_ << ' ', family_, line.remote.address, line.remote.port);
        capitals(text_ << ' ', line.state, 2);
        capitals(text_ << ' ', line.unsent, 8);
        capitals(text_ << ':', line.unread, 8);
        capitals(text_ << " 00:00000000 ", line.retransmissions, 8);
        text_.decimal(line.owner, 6).decimal(0, 9) << ' ' << line.inode << " 1 0000000000000000";
        if (udp_) text_ << " 0";
        if (family_ == kAfInet) text_.pad_line(start, udp_ ? kUdpWidth : kTcpWidth);
        text_ << '\n';
    }

  private:
    Text& text_;
    const int family_;
    const bool udp_;
    unsigned number_ = 0;
};

void add_listening(Lines& lines) {
    for (tcp_pcb_listen* pcb = tcp_listen_pcbs.listen_pcbs; pcb; pcb = pcb->next) {
        for (const TcpSocket& socket : static_cast<const TcpListener*>(pcb->callback_arg)->members()) {
            if (socket.family() != lines.family()) continue;
            const TcpSocket::Waiting waiting = socket.waiting();
            lines.add({.local = {socket.bound_address(), socket.port()},
                       .remote = {wildcard(socket.family(), false), 0},
                       .state = linux_state(LISTEN),
                       .unsent = waiting.unsent,
                       .unread = waiting.unread,
                       .owner = socket.owner(),
                       .inode = socket.inode_number()});
        }
    }
}

// Connections; those that no socket owns any more, or not yet, end by themselves.
void add_connections(Lines& lines, const tcp_pcb* pcb) {
    for (; pcb; pcb = pcb->next) {
        const TcpSocket* socket = TcpSocket::of(*pcb);
        if ((socket ? socket->family() : IP_IS_V6_VAL(pcb->local_ip) ? kAfInet6 : kAfInet) != lines.family()) continue;
        const TcpSocket::Waiting waiting = socket ? socket->waiting() : TcpSocket::Waiting{};
        lines.add({.local = {pcb->local_ip, pcb->local_port},
                   .remote = {pcb->remote_ip, pcb->remote_port},
                   .state = linux_state(pcb->state),
                   .unsent = waiting.unsent,
                   .unread = waiting.unread,
                   .retransmissions = pcb->nrtx,
                   .owner = socket ? socket->owner() : 0,
                   .inode = socket ? socket->inode_number() : 0});
    }
}

void add_tcp(Text& text, int family) {
    StackLock lock;
    Lines lines(text, family, kSolTcp);
    add_listening(lines);
    add_connections(lines, tcp_active_pcbs);
    add_connections(lines, tcp_tw_pcbs);
}

void add_udp(Text& text, int family) {
    StackLock lock;
    Lines lines(text, family, kSolUdp);
    for (const udp_pcb* pcb = udp_pcbs; pcb; pcb = pcb->next) {
        const UdpSocket* socket = UdpSocket::of(*pcb);
        if (!socket || socket->family() != family || !socket->has_port()) continue;
        const UdpSocket::Shown shown = socket->shown();
        lines.add({.local = shown.local,
                   .remote = shown.connected ? shown.peer : Endpoint{wildcard(family, false), 0},
                   .state = shown.connected ? kUdpConnected : kUdpUnconnected,
                   .unread = shown.unread,
                   .owner = socket->owner(),
                   .inode = socket->inode_number()});
    }
}

void add_unix(Text& text) {
    constexpr uint32_t kAcceptsConnections = 0x10000;         // __SO_ACCEPTCON
    constexpr uint8_t kUnconnected = 1, kConnected = 3;       // SS_UNCONNECTED, SS_CONNECTED
    UnixSocket::for_each([&](UnixSocket& socket) {
        UnixEndpoint& endpoint = socket.endpoint();
        core::SpinGuard guard(endpoint.lock);
        text << "0000000000000000: ";
        capitals(text, endpoint.reference_count() + 1, 8) << " 00000000 ";
        capitals(text, endpoint.state == UnixEndpoint::State::kListening ? kAcceptsConnections : 0, 8);
        capitals(text << ' ', static_cast<uint64_t>(socket.type()), 4);
        capitals(text << ' ', endpoint.state == UnixEndpoint::State::kConnected ? kConnected : kUnconnected, 2);
        text << ' ';
        text.decimal(socket.inode_number(), 5);
        if (endpoint.name) {
            // sun_path: a path with its NUL, or a NUL and an abstract name, in which NULs are shown as @ too.
            const SocketAddress& address = endpoint.name->address;
            const bool abstract = address.size > 2 && address.bytes[2] == std::byte{};
            text << ' ';
            for (size_t i = 2; i < address.size; i++) {
                const char byte = static_cast<char>(address.bytes[i]);
                if (byte) text << byte;
                else if (abstract) text << '@';
            }
        }
        text << '\n';
    });
}

class View final : public fs::proc::NetworkView {
  public:
    void devices(Text& text) override {
        StackLock lock;
        for (unsigned index = 1; const netif* interface = interface_by_index(index); index++) {
            const Traffic& count = traffic(*interface);
            text.right(interface_name(*interface), 6) << ": ";
            const uint64_t numbers[] = {
                count.received_bytes, count.received_packets, 0, count.received_dropped, 0, 0, 0, 0,
                count.sent_bytes,     count.sent_packets,     0, count.sent_dropped,     0, 0, 0, 0,
            };
            constexpr unsigned kWidths[] = {7, 7, 4, 4, 4, 5, 10, 9, 8, 7, 4, 4, 4, 5, 7, 10};
            for (size_t i = 0; i < std::size(numbers); i++) {
                text.decimal(numbers[i], kWidths[i]) << (i + 1 < std::size(numbers) ? ' ' : '\n');
            }
        }
    }

    void addresses6(Text& text) override {
        constexpr uint8_t kScopeGlobal = 0, kScopeHost = 0x10, kScopeLink = 0x20, kPermanent = 0x80, kTentative = 0x40;
        StackLock lock;
        for (unsigned index = 1; netif* interface = interface_by_index(index); index++) {
            for (unsigned i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++) {
                const uint8_t state = netif_ip6_addr_state(interface, i);
                if (ip6_addr_isinvalid(state)) continue;
                const ip6_addr_t& address = *netif_ip6_addr(interface, i);
                const bool own = ip6_addr_isloopback(&address), link = ip6_addr_islinklocal(&address);
                const auto* bytes = reinterpret_cast<const uint8_t*>(address.addr);
                for (unsigned byte = 0; byte < 16; byte++) text.hex(bytes[byte], 2);
                (text << ' ').hex(index, 2) << ' ';
                text.hex(own ? 128 : 64, 2) << ' ';
                text.hex(own ? kScopeHost : link ? kScopeLink : kScopeGlobal, 2) << ' ';
                text.hex(kPermanent | (ip6_addr_istentative(state) ? kTentative : 0), 2) << ' ';
                text.right(interface_name(*interface), 8) << '\n';
            }
        }
    }

    void routes(Text& text) override {
        StackLock lock;
        const netif* interface = netif_default;
        if (!interface) return;
        const uint32_t address = ip4_addr_get_u32(netif_ip4_addr(interface));
        const uint32_t mask = ip4_addr_get_u32(netif_ip4_netmask(interface));
        const uint32_t gateway = ip4_addr_get_u32(netif_ip4_gw(interface));
        if (gateway) add_route(text, *interface, 0, gateway, 0);
        if (address) add_route(text, *interface, address & mask, 0, mask);
    }

    void sockets(Sockets kind, Text& text) override {
        switch (kind) {
        case Sockets::kTcp: return add_tcp(text, kAfInet);
        case Sockets::kTcp6: return add_tcp(text, kAfInet6);
        case Sockets::kUdp: return add_udp(text, kAfInet);
        case Sockets::kUdp6: return add_udp(text, kAfInet6);
        case Sockets::kUnix: return add_unix(text);
        }
    }

  private:
    static void add_route(Text& text, const netif& interface, uint32_t destination, uint32_t gateway, uint32_t mask) {
        constexpr uint16_t kUp = 1, kGateway = 2;  // RTF_UP, RTF_GATEWAY
        const size_t start = text.length();
        capitals(text << interface_name(interface) << '\t', destination, 8) << '\t';
        capitals(text, gateway, 8) << '\t';
        capitals(text, kUp | (gateway ? kGateway : 0), 4) << "\t0\t0\t0\t";
        capitals(text, mask, 8) << "\t0\t0\t0";
        text.pad_line(start, kRouteWidth) << '\n';
    }
};

View view;

}  // namespace

void register_network_view() { fs::proc::set_network_view(view); }

}  // namespace net
