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

// "lo" and "eth0" as programs know them, with Linux's indices: lo is 1. Null if there is none.
const char* interface_name(const netif& interface);
unsigned interface_index(const netif& interface);
netif* interface_by_index(unsigned index);

}  // namespace net
