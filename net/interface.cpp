#include "net/interface.h"

#include <cstring>

#include "core/log.h"
#include "net/lwip_headers.h"
#include "net/stack_lock.h"
#include "net/timers.h"

namespace net {

namespace {

constexpr uint16_t kSoftwareChecks = NETIF_CHECKSUM_CHECK_IP | NETIF_CHECKSUM_CHECK_UDP | NETIF_CHECKSUM_CHECK_TCP |
                                     NETIF_CHECKSUM_CHECK_ICMP | NETIF_CHECKSUM_CHECK_ICMP6;
constexpr uint16_t kAlwaysMade = NETIF_CHECKSUM_GEN_IP | NETIF_CHECKSUM_GEN_ICMP | NETIF_CHECKSUM_GEN_ICMP6;
constexpr unsigned kMaxWaiting = 512;  // frames held back for a full transmit ring
constexpr unsigned kMaxPieces = 64;

struct Ethernet {
    netif interface{};
    drivers::NetworkDevice* device = nullptr;
    pbuf* waiting_first = nullptr;  // linked by `next` of single pbufs
    pbuf* waiting_last = nullptr;
    unsigned waiting_count = 0;
    Traffic traffic;
};
Ethernet ethernet;  // eth0; guarded by the stack's lock
Traffic loopback_traffic;

// For a TCP or UDP packet whose checksum the device shall make: puts the sum over the pseudo header where the
// checksum goes (virtio 1.2, 5.1.6.2) and says where that is. `frame` is the first piece, headers included.
drivers::NetworkDevice::Checksum prepare_checksum(std::span<std::byte> frame) {
    constexpr size_t kEthernet = 14;
    auto byte = [&](size_t i) { return static_cast<uint8_t>(frame[i]); };
    if (frame.size() < kEthernet + 20) return {};
    uint32_t sum = 0;
    auto add = [&](size_t from, size_t count) {
        for (size_t i = from; i < from + count; i += 2) sum += static_cast<uint32_t>(byte(i) << 8 | byte(i + 1));
    };
    size_t transport;
    uint8_t protocol;
    if (unsigned type = byte(12) << 8 | byte(13); type == ETHTYPE_IP) {
        size_t header = (byte(kEthernet) & 0xf) * 4u;
        transport = kEthernet + header;
        protocol = byte(kEthernet + 9);
        // A fragment's checksum covers more than the frame: udp_transfer.cpp has it made in software.
        if ((byte(kEthernet + 6) & 0x3f) || byte(kEthernet + 7)) return {};
        add(kEthernet + 12, 8);
        sum += static_cast<uint32_t>((byte(kEthernet + 2) << 8 | byte(kEthernet + 3)) - header);
    } else if (type == ETHTYPE_IPV6 && frame.size() >= kEthernet + 40) {
        transport = kEthernet + 40;
        protocol = byte(kEthernet + 6);
        add(kEthernet + 8, 32);
        sum += static_cast<uint32_t>(byte(kEthernet + 4) << 8 | byte(kEthernet + 5));
    } else {
        return {};
    }
    uint16_t offset;
    if (protocol == IP_PROTO_TCP) offset = 16;
    else if (protocol == IP_PROTO_UDP) offset = 6;
    else return {};
    if (frame.size() < transport + offset + 2) return {};
    sum += protocol;
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    frame[transport + offset] = static_cast<std::byte>(sum >> 8);
    frame[transport + offset + 1] = static_cast<std::byte>(sum);
    return {true, static_cast<uint16_t>(transport), offset};
}

Result<void> offer(pbuf* p) {
    std::span<const std::byte> pieces[kMaxPieces];
    size_t count = 0;
    size_t skip = ETH_PAD_SIZE;
    for (pbuf* part = p; part; part = part->next) {
        if (part->len <= skip) {
            skip -= part->len;
            continue;
        }
        if (count == kMaxPieces) return fail(Errno::kMsgSize);
        pieces[count++] = {static_cast<std::byte*>(part->payload) + skip, part->len - skip};
        skip = 0;
    }
    drivers::NetworkDevice::Checksum checksum;
    if (count && ethernet.device->transmit_checksum_offload()) {
        auto* first = const_cast<std::byte*>(pieces[0].data());
        checksum = prepare_checksum({first, pieces[0].size()});
    }
    TRY(ethernet.device->transmit({pieces, count}, checksum));
    ethernet.traffic.sent_packets++;
    ethernet.traffic.sent_bytes += p->tot_len - ETH_PAD_SIZE;
    return {};
}

err_t link_output(netif*, pbuf* p) {
    if (!ethernet.waiting_first) {
        auto sent = offer(p);
        if (sent) return ERR_OK;
        if (sent.error() != Errno::kAgain) return ERR_IF;
    }
    // The ring is full. TCP would take a refusal for a loss and wait half a second, so keep a copy.
    pbuf* copy = ethernet.waiting_count < kMaxWaiting ? pbuf_clone(PBUF_RAW, PBUF_RAM, p) : nullptr;
    if (!copy) {
        ethernet.traffic.sent_dropped++;
        return ERR_MEM;
    }
    if (ethernet.waiting_last) ethernet.waiting_last->next = copy;
    else ethernet.waiting_first = copy;
    ethernet.waiting_last = copy;
    ethernet.waiting_count++;
    return ERR_OK;
}

err_t initialize_ethernet(netif* interface) {
    drivers::NetworkDevice& device = *ethernet.device;
    interface->name[0] = 'e';
    interface->name[1] = 'n';
    interface->hostname = "isounik";
    interface->output = etharp_output;
    interface->output_ip6 = ethip6_output;
    interface->linkoutput = link_output;
    interface->mtu = device.mtu();
    interface->mtu6 = device.mtu();
    interface->hwaddr_len = ETH_HWADDR_LEN;
    std::memcpy(interface->hwaddr, device.mac().bytes, ETH_HWADDR_LEN);
    interface->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET;
    uint16_t made = kAlwaysMade;
    if (!device.transmit_checksum_offload()) made |= NETIF_CHECKSUM_GEN_TCP | NETIF_CHECKSUM_GEN_UDP;
    // What comes in is checked as the device says for each frame (receive()); what the interface delivers to
    // itself is not checked at all.
    NETIF_SET_CHECKSUM_CTRL(interface, made);
    return ERR_OK;
}

// drivers::NetworkDevice::Receiver
void receive(void*, std::span<const std::byte> frame, bool checksum_good) {
    constexpr size_t kHeader = SIZEOF_ETH_HDR - ETH_PAD_SIZE;
    if (frame.size() < kHeader || frame.size() > 0xffff - ETH_PAD_SIZE) return;
    // etharp_input() relies on the padding of short frames, which a virtual card need not add.
    bool is_arp = frame[12] == std::byte{0x08} && frame[13] == std::byte{0x06};
    if (is_arp && frame.size() < kHeader + SIZEOF_ETHARP_HDR) return;
    StackLock lock;
    auto length = static_cast<u16_t>(frame.size() + ETH_PAD_SIZE);
    pbuf* p = pbuf_alloc(PBUF_RAW, length, PBUF_RAM);
    if (!p) {  // the peer sends it again
        ethernet.traffic.received_dropped++;
        return;
    }
    ethernet.traffic.received_packets++;
    ethernet.traffic.received_bytes += frame.size();
    auto* payload = static_cast<std::byte*>(p->payload);
    std::memset(payload, 0, ETH_PAD_SIZE);
    std::memcpy(payload + ETH_PAD_SIZE, frame.data(), frame.size());
    netif& interface = ethernet.interface;
    uint16_t made = interface.chksum_flags;
    if (!checksum_good) interface.chksum_flags = made | kSoftwareChecks;
    if (interface.input(p, &interface) != ERR_OK) pbuf_free(p);
    interface.chksum_flags = made;
}

}  // namespace

void retry_transmissions() {
    while (pbuf* p = ethernet.waiting_first) {
        // A clone is one pbuf; `next` links the queue, so hide it from offer().
        pbuf* next = p->next;
        p->next = nullptr;
        auto sent = offer(p);
        if (!sent && sent.error() == Errno::kAgain) {
            p->next = next;
            return;
        }
        ethernet.waiting_first = next;
        if (!next) ethernet.waiting_last = nullptr;
        ethernet.waiting_count--;
        pbuf_free(p);
    }
}

Result<void> start_ethernet(drivers::NetworkDevice& device, const Configuration& configuration) {
    ethernet.device = &device;
    netif& interface = ethernet.interface;
    ip4_addr_t address{configuration.address}, netmask{configuration.netmask}, gateway{configuration.gateway};
    if (!netif_add(&interface, &address, &netmask, &gateway, nullptr, initialize_ethernet, netif_input)) {
        return fail(Errno::kNoMem);
    }
    // The end of the lock sends what waits.
    device.set_transmit_ready([](void*) { StackLock lock; }, nullptr);
    netif_set_default(&interface);
    netif_set_link_up(&interface);
    netif_set_up(&interface);
    netif_create_ip6_linklocal_address(&interface, 1);
    if (configuration.prefix6) {
        ip6_addr_t address6{};
        std::memcpy(address6.addr, configuration.address6, 16);
        // Given by whoever runs the machine: no duplicate detection, usable at once.
        netif_ip6_addr_set(&interface, 1, &address6);
        netif_ip6_addr_set_state(&interface, 1, IP6_ADDR_PREFERRED);
    } else {
        netif_set_ip6_autoconfig_enabled(&interface, 1);
    }
    if (configuration.dhcp && dhcp_start(&interface) != ERR_OK) return fail(Errno::kNoMem);
    start_interface_timers();
    device.set_receiver(receive, nullptr);
    return {};
}

bool is_loopback(const netif& interface) { return interface.name[0] == 'l'; }
const char* interface_name(const netif& interface) { return is_loopback(interface) ? "lo" : "eth0"; }
const Traffic& traffic(const netif& interface) { return is_loopback(interface) ? loopback_traffic : ethernet.traffic; }

// What lo sends, it receives.
void count_loopback(size_t size) {
    loopback_traffic.sent_bytes += size;
    loopback_traffic.received_bytes += size;
    loopback_traffic.sent_packets++;
    loopback_traffic.received_packets++;
}

// lwIP numbers from 1 in the order of netif_add(), and loopback comes first: the same as Linux.
unsigned interface_index(const netif& interface) { return netif_get_index(&interface); }

netif* interface_by_index(unsigned index) {
    return index == 0 || index > 0xff ? nullptr : netif_get_by_index(static_cast<u8_t>(index));
}

}  // namespace net
