// Tells connected UDP sockets of "port unreachable" (udp(7), ECONNREFUSED). lwIP itself ignores ICMP errors.
#include <cstring>

#include "net/udp_socket.h"

namespace {

// The packet's first `size` bytes from `offset`, wherever its pieces lie.
bool read_packet(const pbuf* p, size_t offset, void* destination, size_t size) {
    return offset <= 0xffff && pbuf_copy_partial(p, destination, static_cast<u16_t>(size), static_cast<u16_t>(offset)) == size;
}

uint16_t big_endian(const uint8_t* bytes) { return static_cast<uint16_t>(bytes[0] << 8 | bytes[1]); }

void port_unreachable(const ip_addr_t& local, const ip_addr_t& peer, const uint8_t* ports) {
    net::UdpSocket* socket = net::UdpSocket::find({local, big_endian(ports)}, {peer, big_endian(ports + 2)});
    if (socket) socket->refused();
}

}  // namespace

extern "C" {

// RFC 792: type 3 code 3 holds the header of the packet that caused it and 8 bytes of its data.
int isounik_ip4_packet(pbuf* p, netif*) {
    uint8_t outer[20], icmp[8], inner[20], ports[4];
    if (!read_packet(p, 0, outer, 20) || outer[0] >> 4 != 4 || outer[9] != IP_PROTO_ICMP) return 0;
    size_t offset = (outer[0] & 0xf) * 4u;
    if (!read_packet(p, offset, icmp, 8) || icmp[0] != ICMP_DUR || icmp[1] != ICMP_DUR_PORT) return 0;
    offset += 8;
    if (!read_packet(p, offset, inner, 20) || inner[9] != IP_PROTO_UDP) return 0;
    if (!read_packet(p, offset + (inner[0] & 0xf) * 4u, ports, 4)) return 0;
    uint32_t source, destination;
    std::memcpy(&source, inner + 12, 4);
    std::memcpy(&destination, inner + 16, 4);
    ip_addr_t local{}, peer{};
    ip_addr_set_ip4_u32_val(local, source);
    ip_addr_set_ip4_u32_val(peer, destination);
    port_unreachable(local, peer, ports);
    return 0;
}

// RFC 4443, 3.1: type 1 code 4 holds as much of the packet as fits.
int isounik_ip6_packet(pbuf* p, netif*) {
    constexpr uint8_t kDestinationUnreachable = 1, kPortUnreachable = 4;
    uint8_t outer[40], icmp[8], inner[40], ports[4];
    if (!read_packet(p, 0, outer, 40) || outer[6] != IP6_NEXTH_ICMP6) return 0;
    if (!read_packet(p, 40, icmp, 8) || icmp[0] != kDestinationUnreachable || icmp[1] != kPortUnreachable) return 0;
    if (!read_packet(p, 48, inner, 40) || inner[6] != IP6_NEXTH_UDP || !read_packet(p, 88, ports, 4)) return 0;
    ip_addr_t local{}, peer{};
    local.type = peer.type = IPADDR_TYPE_V6;
    std::memcpy(ip_2_ip6(&local)->addr, inner + 8, 16);
    std::memcpy(ip_2_ip6(&peer)->addr, inner + 24, 16);
    port_unreachable(local, peer, ports);
    return 0;
}

}  // extern "C"
