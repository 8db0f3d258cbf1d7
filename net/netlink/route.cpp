#include "net/netlink/route.h"

#include <algorithm>

#include "net/interface.h"
#include "net/lwip_headers.h"
#include "net/stack_lock.h"

namespace net {

namespace {

// include/uapi/linux/{netlink,rtnetlink,if_link,if_addr}.h
constexpr uint16_t kMessageError = 2, kMessageDone = 3;
constexpr uint16_t kNewLink = 16, kGetLink = 18, kNewAddress = 20, kGetAddress = 22, kNewRoute = 24, kGetRoute = 26,
    kLastMessage = 123;
constexpr uint16_t kFlagRequest = 1, kFlagMulti = 2, kFlagAck = 4, kFlagDump = 0x300;
constexpr uint16_t kLinkAddress = 1, kLinkBroadcast = 2, kLinkName = 3, kLinkMtu = 4, kLinkDiscipline = 6,
    kLinkQueueLength = 13, kLinkState = 16;
constexpr uint16_t kAddressAddress = 1, kAddressLocal = 2, kAddressLabel = 3, kAddressBroadcast = 4,
    kAddressCache = 6, kAddressFlags = 8;
constexpr uint16_t kRouteDestination = 1, kRouteInterface = 4, kRouteGateway = 5, kRouteSource = 7, kRouteTable = 15;
constexpr uint8_t kScopeUniverse = 0, kScopeLink = 253, kScopeHost = 254;
constexpr uint8_t kTableMain = 254, kProtocolKernel = 2, kProtocolBoot = 3, kTypeUnicast = 1;
constexpr uint32_t kIffUp = 1, kIffBroadcast = 2, kIffLoopback = 8, kIffRunning = 0x40, kIffMulticast = 0x1000,
    kIffLowerUp = 0x10000;
constexpr uint32_t kAddressPermanent = 0x80;

struct Header { uint32_t length; uint16_t type, flags; uint32_t sequence, port; };
struct LinkInfo { uint8_t family, padding; uint16_t type; int32_t index; uint32_t flags, change; };
struct AddressInfo { uint8_t family, prefix_length, flags, scope; uint32_t index; };
struct AddressLifetime { uint32_t preferred, valid, created, updated; };
struct RouteInfo {
    uint8_t family, destination_length, source_length, tos, table, protocol, scope, type;
    uint32_t flags;
};
struct ErrorInfo { int32_t error; Header request; };

constexpr size_t align(size_t size) { return (size + 3) & ~size_t{3}; }


// One message under construction.
class Message {
  public:
    template <typename Body>
    Message(uint16_t type, uint16_t flags, const Header& request, uint32_t port, const Body& body) {
        Header header{0, type, flags, request.sequence, port};
        std::memcpy(bytes_, &header, sizeof header);
        std::memcpy(bytes_ + sizeof header, &body, sizeof body);
        size_ = sizeof header + sizeof body;
    }
    void attribute(uint16_t type, const void* data, size_t size) {
        uint16_t head[2] = {static_cast<uint16_t>(4 + size), type};
        std::memcpy(bytes_ + size_, head, 4);
        std::memcpy(bytes_ + size_ + 4, data, size);
        size_ += align(4 + size);
    }
    template <typename T>
    void attribute(uint16_t type, const T& value) { attribute(type, &value, sizeof value); }
    void text(uint16_t type, const char* value) { attribute(type, value, std::strlen(value) + 1); }
    std::span<const std::byte> finish() {
        auto length = static_cast<uint32_t>(size_);
        std::memcpy(bytes_, &length, sizeof length);
        return {bytes_, align(size_)};
    }

  private:
    std::byte bytes_[256] = {};
    size_t size_;
};

// Messages gathered into datagrams.
class Answers {
  public:
    explicit Answers(NetlinkQueue& queue) : queue_(queue) {}
    Result<void> add(std::span<const std::byte> message) {
        constexpr size_t kMaxDatagram = 3072;
        if (!open_ || open_->bytes.size() + message.size() > kMaxDatagram) {
            auto datagram = TRY(core::make<NetlinkDatagram>());
            open_ = datagram.get();
            queue_.push_back(*datagram.release());
        }
        size_t before = open_->bytes.size();
        TRY(open_->bytes.resize(before + message.size()));
        std::memcpy(open_->bytes.data() + before, message.data(), message.size());
        return {};
    }
    void next_datagram() { open_ = nullptr; }

  private:
    NetlinkQueue& queue_;
    NetlinkDatagram* open_ = nullptr;
};

struct Asked {
    const Header& header;
    std::span<const std::byte> body;
    uint32_t port;
    bool dump;
    uint16_t flags() const { return dump ? kFlagMulti : 0; }
    uint8_t family() const { return body.empty() ? uint8_t{0} : static_cast<uint8_t>(body[0]); }
};

Result<void> add_link(const Asked& asked, const netif& interface, Answers& answers) {
    bool loopback = is_loopback(interface);
    uint32_t flags = kIffUp | kIffRunning | kIffLowerUp | (loopback ? kIffLoopback : kIffBroadcast | kIffMulticast);
    LinkInfo info{0, 0, static_cast<uint16_t>(loopback ? 772 : 1), static_cast<int32_t>(interface_index(interface)),
                  flags, 0};
    Message message(kNewLink, asked.flags(), asked.header, asked.port, info);
    message.text(kLinkName, interface_name(interface));
    message.attribute(kLinkQueueLength, uint32_t{1000});
    message.attribute(kLinkState, static_cast<uint8_t>(loopback ? 0 : 6));  // IF_OPER_UNKNOWN, IF_OPER_UP
    message.attribute(kLinkMtu, loopback ? uint32_t{65536} : uint32_t{interface.mtu});
    message.text(kLinkDiscipline, loopback ? "noqueue" : "pfifo_fast");
    uint8_t broadcast[6];
    std::memset(broadcast, loopback ? 0 : 0xff, sizeof broadcast);
    uint8_t address[6] = {};
    if (!loopback) std::memcpy(address, interface.hwaddr, sizeof address);
    message.attribute(kLinkAddress, address, sizeof address);
    message.attribute(kLinkBroadcast, broadcast, sizeof broadcast);
    return answers.add(message.finish());
}

// One link, by its number or its name (IFLA_IFNAME).
Result<void> one_link(const Asked& asked, Answers& answers) {
    LinkInfo info{};
    if (asked.body.size() < sizeof info) return fail(Errno::kInval);
    std::memcpy(&info, asked.body.data(), sizeof info);
    netif* found = info.index > 0 ? interface_by_index(static_cast<unsigned>(info.index)) : nullptr;
    bool named = false;
    for (size_t at = sizeof info; info.index <= 0 && at + 4 <= asked.body.size();) {
        uint16_t head[2];
        std::memcpy(head, asked.body.data() + at, 4);
        if (head[0] < 4 || head[0] > asked.body.size() - at) break;
        if (head[1] == kLinkName) {
            named = true;
            char name[16] = {};
            std::memcpy(name, asked.body.data() + at + 4, std::min<size_t>(head[0] - 4u, sizeof name - 1));
            for (netif* interface = netif_list; interface; interface = interface->next) {
                if (std::strncmp(interface_name(*interface), name, sizeof name) == 0) found = interface;
            }
        }
        at += align(head[0]);
    }
    if (!found) return fail(info.index > 0 || named ? Errno::kNoDev : Errno::kInval);
    return add_link(asked, *found, answers);
}

Result<void> add_address4(const Asked& asked, const netif& interface, Answers& answers) {
    uint32_t address = ip4_addr_get_u32(netif_ip4_addr(&interface)), mask = ip4_addr_get_u32(netif_ip4_netmask(&interface));
    if (!address) return {};
    bool loopback = is_loopback(interface);
    AddressInfo info{kAfInet, static_cast<uint8_t>(__builtin_popcount(mask)), kAddressPermanent,
                     loopback ? kScopeHost : kScopeUniverse, interface_index(interface)};
    Message message(kNewAddress, asked.flags(), asked.header, asked.port, info);
    message.attribute(kAddressAddress, address);
    message.attribute(kAddressLocal, address);
    if (!loopback) message.attribute(kAddressBroadcast, address | ~mask);
    message.text(kAddressLabel, interface_name(interface));
    message.attribute(kAddressFlags, kAddressPermanent);
    message.attribute(kAddressCache, AddressLifetime{~0u, ~0u, 0, 0});
    return answers.add(message.finish());
}

Result<void> add_address6(const Asked& asked, netif& interface, unsigned number, Answers& answers) {
    if (!ip6_addr_isvalid(netif_ip6_addr_state(&interface, number))) return {};
    const ip6_addr_t& address = *netif_ip6_addr(&interface, number);
    bool loopback = ip6_addr_isloopback(&address), local = ip6_addr_islinklocal(&address);
    AddressInfo info{kAfInet6, static_cast<uint8_t>(loopback ? 128 : 64), kAddressPermanent,
                     loopback ? kScopeHost : local ? kScopeLink : kScopeUniverse, interface_index(interface)};
    Message message(kNewAddress, asked.flags(), asked.header, asked.port, info);
    message.attribute(kAddressAddress, address.addr, 16);
    message.attribute(kAddressCache, AddressLifetime{~0u, ~0u, 0, 0});
    message.attribute(kAddressFlags, kAddressPermanent);
    return answers.add(message.finish());
}

Result<void> add_route(const Asked& asked, const netif& interface, bool is_default, Answers& answers) {
    uint32_t address = ip4_addr_get_u32(netif_ip4_addr(&interface)), mask = ip4_addr_get_u32(netif_ip4_netmask(&interface));
    uint32_t gateway = ip4_addr_get_u32(netif_ip4_gw(&interface));
    if (!address || is_loopback(interface) || (is_default && !gateway)) return {};
    RouteInfo info{kAfInet, static_cast<uint8_t>(is_default ? 0 : __builtin_popcount(mask)), 0, 0, kTableMain,
                   is_default ? kProtocolBoot : kProtocolKernel, is_default ? kScopeUniverse : kScopeLink, kTypeUnicast, 0};
    Message message(kNewRoute, asked.flags(), asked.header, asked.port, info);
    message.attribute(kRouteTable, uint32_t{kTableMain});
    if (is_default) {
        message.attribute(kRouteGateway, gateway);
    } else {
        message.attribute(kRouteDestination, address & mask);
        message.attribute(kRouteSource, address);
    }
    message.attribute(kRouteInterface, uint32_t{interface_index(interface)});
    return answers.add(message.finish());
}

// All of one kind, interface by interface in the order of their numbers.
Result<void> dump(const Asked& asked, Answers& answers) {
    uint8_t family = asked.family();
    bool v4 = family == 0 || family == kAfInet, v6 = family == 0 || family == kAfInet6;
    if (asked.header.type == kGetRoute) {
        for (bool is_default : {true, false}) {
            for (unsigned i = 1; netif* interface = interface_by_index(i); i++) {
                if (v4) TRY(add_route(asked, *interface, is_default, answers));
            }
        }
        return {};
    }
    for (unsigned i = 1; netif* interface = interface_by_index(i); i++) {
        if (asked.header.type == kGetLink) TRY(add_link(asked, *interface, answers));
        else if (v4) TRY(add_address4(asked, *interface, answers));
    }
    for (unsigned i = 1; netif* interface = interface_by_index(i); i++) {
        if (asked.header.type != kGetAddress || !v6) break;
        for (unsigned n = 0; n < LWIP_IPV6_NUM_ADDRESSES; n++) TRY(add_address6(asked, *interface, n, answers));
    }
    return {};
}

Result<void> answer(const Asked& asked, Answers& answers) {
    uint16_t type = asked.header.type;
    if (type > kLastMessage) return fail(Errno::kOpNotSupp);
    // RTM_NEW..., RTM_DEL..., RTM_GET..., RTM_SET... repeat in fours.
    if ((type & 3) != (kGetLink & 3)) return fail(current_is_privileged() ? Errno::kOpNotSupp : Errno::kPerm);
    if (asked.body.empty()) return {};
    if (type != kGetLink && type != kGetAddress && type != kGetRoute) return fail(Errno::kOpNotSupp);
    if (asked.dump) return dump(asked, answers);
    if (type == kGetLink) return one_link(asked, answers);
    return fail(Errno::kOpNotSupp);
}

Result<void> acknowledge(const Asked& asked, Errno error, Answers& answers) {
    Message message(kMessageError, 0, asked.header, asked.port, ErrorInfo{-static_cast<int32_t>(error), asked.header});
    return answers.add(message.finish());
}

}  // namespace

Result<void> answer_route_requests(std::span<const std::byte> request, uint32_t port, NetlinkQueue& queue) {
    Answers answers(queue);
    while (request.size() >= sizeof(Header)) {
        Header header;
        std::memcpy(&header, request.data(), sizeof header);
        if (header.length < sizeof header || header.length > request.size()) break;
        if (header.flags & kFlagRequest) {
            bool is_control = header.type < kNewLink;  // NLMSG_NOOP and kin: nothing is done
            bool is_dump = !is_control && (header.flags & kFlagDump) == kFlagDump;
            Asked asked{header, request.subspan(sizeof header, header.length - sizeof header), port, is_dump};
            Result<void> result;
            if (!is_control) {
                StackLock lock;
                result = answer(asked, answers);
            }
            if (!result && result.error() == Errno::kNoMem) return fail(Errno::kNoMem);
            if (result && is_dump) {
                Message done(kMessageDone, kFlagMulti, header, port, int32_t{0});
                answers.next_datagram();
                TRY(answers.add(done.finish()));
            } else if (!result || (header.flags & kFlagAck)) {
                TRY(acknowledge(asked, result ? Errno{} : result.error(), answers));
            }
            answers.next_datagram();
        }
        request = request.subspan(std::min(align(header.length), request.size()));
    }
    return {};
}

}  // namespace net
