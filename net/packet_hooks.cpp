// What is done to packets before lwIP sees them, where it lacks something:
//  - connected UDP sockets are told of "port unreachable" (udp(7), ECONNREFUSED); lwIP ignores ICMP errors;
//  - a new connection may take the addresses of one in TIME-WAIT (RFC 1122, 4.2.2.13); lwIP would only acknowledge it;
//  - connections do not answer old segments without end; lwIP acknowledges each;
//  - lo has no driver that could count.
#include <cstring>

#include "net/interface.h"
#include "net/tcp_socket.h"
#include "net/udp_socket.h"

namespace {

// The packet's first `size` bytes from `offset`, wherever its pieces lie.
bool read_packet(const pbuf* p, size_t offset, void* destination, size_t size) {
    if (offset + size <= p->len) [[likely]] {
        std::memcpy(destination, static_cast<const std::byte*>(p->payload) + offset, size);
        return true;
    }
    return offset <= 0xffff && pbuf_copy_partial(p, destination, static_cast<u16_t>(size), static_cast<u16_t>(offset)) == size;
}

uint16_t big_endian(const uint8_t* bytes) { return static_cast<uint16_t>(bytes[0] << 8 | bytes[1]); }

void port_unreachable(const ip_addr_t& local, const ip_addr_t& peer, const uint8_t* ports) {
    net::UdpSocket* socket = net::UdpSocket::find({local, big_endian(ports)}, {peer, big_endian(ports + 2)});
    if (socket) socket->refused();
}

// A SYN for a connection in TIME-WAIT with a higher sequence number than that one used: it is over.
void make_way(const pbuf* p, size_t offset, const ip_addr_t& local, const ip_addr_t& remote) {
    uint8_t header[20];
    if (!read_packet(p, offset, header, 20)) return;
    if ((header[13] & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_SYN) [[likely]] return;
    uint16_t remote_port = big_endian(header), local_port = big_endian(header + 2);
    uint32_t sequence = static_cast<uint32_t>(big_endian(header + 4)) << 16 | big_endian(header + 6);
    for (tcp_pcb* pcb = tcp_tw_pcbs; pcb; pcb = pcb->next) {
        if (pcb->remote_port != remote_port || pcb->local_port != local_port || !ip_addr_cmp(&pcb->remote_ip, &remote) ||
            !ip_addr_cmp(&pcb->local_ip, &local)) {
            continue;
        }
        if (!TCP_SEQ_GT(sequence, pcb->rcv_nxt)) return;
        tcp_pcb_remove(&tcp_tw_pcbs, pcb);
        tcp_free(pcb);
        return;
    }
}

// How often a connection has answered segments outside of its window in this tick of 500 ms. Two ends that disagree
// on where they are (the peer reused its port while its old connection still closes) would do nothing else for ever;
// Linux bounds these answers too (tcp_invalid_ratelimit).
struct Answers {
    const tcp_pcb* pcb;
    uint32_t tick, count;
};
Answers answers[64];
constexpr uint32_t kMaxAnswers = 4;

bool answered_enough(const tcp_pcb* pcb) {
    Answers& entry = answers[reinterpret_cast<uintptr_t>(pcb) / sizeof(tcp_pcb) % std::size(answers)];
    if (entry.pcb != pcb || entry.tick != tcp_ticks) entry = {pcb, tcp_ticks, 0};
    return ++entry.count > kMaxAnswers;
}

}  // namespace

extern "C" {

signed char isounik_tcp_segment(tcp_pcb* pcb, const tcp_hdr* header, u16_t length) {
    uint8_t flags = TCPH_FLAGS(header);
    if (pcb->state == LISTEN) {
        auto* listener = static_cast<net::TcpListener*>(pcb->callback_arg);
        bool wants_connection = (flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN;
        return wants_connection && listener->full() ? ERR_MEM : ERR_OK;
    }
    if (pcb->state < ESTABLISHED || length > 0 || (flags & TCP_RST)) return ERR_OK;
    // No data. Inside of the window, or the FIN that we have acknowledged already: as usual.
    uint32_t sequence = header->seqno, end = sequence + (flags & TCP_FIN ? 1 : 0);
    bool expected = !TCP_SEQ_LT(end, pcb->rcv_nxt) && !TCP_SEQ_GT(sequence, pcb->rcv_nxt + pcb->rcv_wnd);
    return !expected && answered_enough(pcb) ? ERR_MEM : ERR_OK;
}

// RFC 792: type 3 code 3 holds the header of the packet that caused it and 8 bytes of its data.
int isounik_ip4_packet(pbuf* p, netif* interface) {
    if (net::is_loopback(*interface)) net::count_loopback(p->tot_len);
    uint8_t outer[20], icmp[8], inner[20], ports[4];
    if (!read_packet(p, 0, outer, 20) || outer[0] >> 4 != 4) return 0;
    size_t offset = (outer[0] & 0xf) * 4u;
    uint32_t source, destination;
    ip_addr_t local{}, peer{};
    if (outer[9] == IP_PROTO_TCP && tcp_tw_pcbs) {
        std::memcpy(&source, outer + 12, 4);
        std::memcpy(&destination, outer + 16, 4);
        ip_addr_set_ip4_u32_val(peer, source);
        ip_addr_set_ip4_u32_val(local, destination);
        make_way(p, offset, local, peer);
    }
    if (outer[9] != IP_PROTO_ICMP) return 0;
    if (!read_packet(p, offset, icmp, 8) || icmp[0] != ICMP_DUR || icmp[1] != ICMP_DUR_PORT) return 0;
    offset += 8;
    if (!read_packet(p, offset, inner, 20) || inner[9] != IP_PROTO_UDP) return 0;
    if (!read_packet(p, offset + (inner[0] & 0xf) * 4u, ports, 4)) return 0;
    std::memcpy(&source, inner + 12, 4);
    std::memcpy(&destination, inner + 16, 4);
    ip_addr_set_ip4_u32_val(local, source);
    ip_addr_set_ip4_u32_val(peer, destination);
    port_unreachable(local, peer, ports);
    return 0;
}

// RFC 4443, 3.1: type 1 code 4 holds as much of the packet as fits.
int isounik_ip6_packet(pbuf* p, netif* interface) {
    if (net::is_loopback(*interface)) net::count_loopback(p->tot_len);
    constexpr uint8_t kDestinationUnreachable = 1, kPortUnreachable = 4;
    uint8_t outer[40], icmp[8], inner[40], ports[4];
    if (!read_packet(p, 0, outer, 40)) return 0;
    ip_addr_t local{}, peer{};
    local.type = peer.type = IPADDR_TYPE_V6;
    if (outer[6] == IP6_NEXTH_TCP && tcp_tw_pcbs) {
        std::memcpy(ip_2_ip6(&peer)->addr, outer + 8, 16);
        std::memcpy(ip_2_ip6(&local)->addr, outer + 24, 16);
        make_way(p, 40, local, peer);
    }
    if (outer[6] != IP6_NEXTH_ICMP6) return 0;
    if (!read_packet(p, 40, icmp, 8) || icmp[0] != kDestinationUnreachable || icmp[1] != kPortUnreachable) return 0;
    if (!read_packet(p, 48, inner, 40) || inner[6] != IP6_NEXTH_UDP || !read_packet(p, 88, ports, 4)) return 0;
    std::memcpy(ip_2_ip6(&local)->addr, inner + 8, 16);
    std::memcpy(ip_2_ip6(&peer)->addr, inner + 24, 16);
    port_unreachable(local, peer, ports);
    return 0;
}

}  // extern "C"
