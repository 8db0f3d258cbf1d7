// The interfaces: lo, which lwIP brings, and eth0 on a network device.
#pragma once

#include "core/result.h"
#include "drivers/devices.h"
#include "net/stack.h"

struct netif;

namespace net {

// Brings up eth0 on `device` with a static address or DHCP. Caller holds the stack. ENOMEM.
Result<void> start_ethernet(drivers::NetworkDevice& device, const Configuration& configuration);

// Offers frames again that the device had no room for. Caller holds the stack.
void retry_transmissions();

// What went through an interface since it started. Bytes of TCP between two sockets of this machine need none.
struct Traffic {
    uint64_t received_bytes = 0, received_packets = 0, received_dropped = 0;
    uint64_t sent_bytes = 0, sent_packets = 0, sent_dropped = 0;
};
// Caller holds the stack.
const Traffic& traffic(const netif& interface);
// A packet of `size` bytes goes over lo. Caller holds the stack.
void count_loopback(size_t size);

// "lo" and "eth0" as programs know them, with Linux's indices: lo is 1. Null if there is none.
const char* interface_name(const netif& interface);
bool is_loopback(const netif& interface);
unsigned interface_index(const netif& interface);
netif* interface_by_index(unsigned index);

}  // namespace net
