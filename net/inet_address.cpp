#include "net/inet_address.h"

#include "net/interface.h"

namespace net {

namespace {

struct AddressV4 { uint16_t family, port; uint32_t address; uint8_t zero[8]; };
struct AddressV6 { uint16_t family, port; uint32_t flow; uint8_t address[16]; uint32_t scope; };
constexpr size_t kMinAddressV6 = 24;  // without the scope: RFC 2133
constexpr uint8_t kMappedPrefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

ip_addr_t ipv4(uint32_t address) {
    ip_addr_t result{};
    ip_addr_set_ip4_u32_val(result, address);
    return result;
}

}  // namespace

ip_addr_t wildcard(int family, bool v6_only) {
    ip_addr_t address{};
    address.type = family == kAfInet ? IPADDR_TYPE_V4 : v6_only ? IPADDR_TYPE_V6 : IPADDR_TYPE_ANY;
    return address;
}

bool is_wildcard(const ip_addr_t& address) {
    if (IP_IS_V4_VAL(address)) return ip4_addr_isany_val(*ip_2_ip4(&address));
    return ip6_addr_isany_val(*ip_2_ip6(&address));
}

Result<Endpoint> decode_address(const SocketAddress& address, int family, bool v6_only) {
    if (family == kAfInet) {
        AddressV4 v4;
        if (address.size < sizeof(v4)) return fail(Errno::kInval);
        std::memcpy(&v4, address.bytes, sizeof(v4));
        // bind(2) takes AF_UNSPEC for AF_INET with the wildcard, for compatibility.
        if (v4.family != kAfInet && !(v4.family == kAfUnspec && v4.address == 0)) return fail(Errno::kAfNoSupport);
        return Endpoint{ipv4(v4.address), lwip_ntohs(v4.port)};
    }
    AddressV6 v6{};
    if (address.size < kMinAddressV6) return fail(Errno::kInval);
    std::memcpy(&v6, address.bytes, address.size < sizeof(v6) ? kMinAddressV6 : sizeof(v6));
    if (v6.family != kAfInet6) return fail(Errno::kAfNoSupport);
    Endpoint endpoint;
    endpoint.port = lwip_ntohs(v6.port);
    if (std::memcmp(v6.address, kMappedPrefix, sizeof(kMappedPrefix)) == 0) {
        if (v6_only) return fail(Errno::kInval);
        uint32_t mapped;
        std::memcpy(&mapped, v6.address + 12, 4);
        endpoint.address = ipv4(mapped);
        return endpoint;
    }
    ip6_addr_t* target = ip_2_ip6(&endpoint.address);
    std::memcpy(target->addr, v6.address, 16);
    endpoint.address.type = IPADDR_TYPE_V6;
    if (ip6_addr_isany_val(*target)) {
        endpoint.address = wildcard(kAfInet6, v6_only);
    } else if (ip6_addr_has_scope(target, IP6_UNICAST)) {
        netif* interface = interface_by_index(v6.scope);
        if (v6.scope && !interface) return fail(Errno::kNoDev);
        if (interface) ip6_addr_assign_zone(target, IP6_UNICAST, interface);
    }
    return endpoint;
}

SocketAddress encode_address(const Endpoint& endpoint, int family) {
    SocketAddress result;
    if (family == kAfInet) {
        AddressV4 v4{kAfInet, lwip_htons(endpoint.port), ip4_addr_get_u32(ip_2_ip4(&endpoint.address)), {}};
        std::memcpy(result.bytes, &v4, sizeof(v4));
        result.size = sizeof(v4);
        return result;
    }
    AddressV6 v6{};
    v6.family = kAfInet6;
    v6.port = lwip_htons(endpoint.port);
    if (IP_IS_V4_VAL(endpoint.address)) {
        std::memcpy(v6.address, kMappedPrefix, sizeof(kMappedPrefix));
        std::memcpy(v6.address + 12, ip_2_ip4(&endpoint.address), 4);
    } else {
        const ip6_addr_t* address = ip_2_ip6(&endpoint.address);
        std::memcpy(v6.address, address->addr, 16);
        v6.scope = ip6_addr_has_zone(address) ? ip6_addr_zone(address) : 0;
    }
    std::memcpy(result.bytes, &v6, sizeof(v6));
    result.size = sizeof(v6);
    return result;
}

bool is_local(const ip_addr_t& address) {
    if (is_wildcard(address)) return true;
    for (netif* interface = netif_list; interface; interface = interface->next) {
        if (IP_IS_V4_VAL(address)) {
            if (ip4_addr_cmp(ip_2_ip4(&address), netif_ip4_addr(interface))) return true;
        } else if (netif_get_ip6_addr_match(interface, ip_2_ip6(&address)) >= 0) {
            return true;
        }
    }
    return false;
}

ip_addr_t wildcard_to_loopback(const ip_addr_t& address) {
    if (!is_wildcard(address)) return address;
    ip_addr_t loopback{};
    ip_addr_set_loopback_val(!IP_IS_V4_VAL(address), loopback);
    return loopback;
}

Errno to_errno(err_t error) {
    switch (error) {
    case ERR_MEM: case ERR_BUF: return Errno::kNoBufs;
    case ERR_TIMEOUT: return Errno::kTimedOut;
    case ERR_RTE: case ERR_IF: return Errno::kNetUnreach;
    case ERR_INPROGRESS: return Errno::kInProgress;
    case ERR_VAL: case ERR_ARG: return Errno::kInval;
    case ERR_USE: return Errno::kAddrInUse;
    case ERR_ALREADY: return Errno::kAlready;
    case ERR_ISCONN: return Errno::kIsConn;
    case ERR_CONN: case ERR_CLSD: return Errno::kNotConn;
    case ERR_ABRT: return Errno::kTimedOut;
    case ERR_RST: return Errno::kConnReset;
    default: return Errno::kIo;
    }
}

}  // namespace net
