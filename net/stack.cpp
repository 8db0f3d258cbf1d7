#include "net/stack.h"

#include <atomic>

#include "net/interface.h"
#include "net/lwip_headers.h"
#include "net/lwip_memory.h"
#include "net/network_view.h"
#include "net/stack_lock.h"

namespace net {

namespace {
std::atomic<void (*)()> first_listen_hook{nullptr};
bool dhcp_wanted = false;
}  // namespace

Result<void> initialize(drivers::NetworkDevice* device, const Configuration& configuration, size_t stack_memory) {
    StackLock lock;
    set_stack_memory_limit(stack_memory);
    lwip_init();
    // Bytes to ourselves cannot be damaged on the way.
    NETIF_SET_CHECKSUM_CTRL(netif_list, NETIF_CHECKSUM_DISABLE_ALL);
    register_network_view();
    dhcp_wanted = device && configuration.dhcp;
    if (device) TRY(start_ethernet(*device, configuration));
    return {};
}

bool configured() {
    StackLock lock;
    if (!dhcp_wanted) return true;
    return netif_default && !ip4_addr_isany_val(*netif_ip4_addr(netif_default));
}

void set_first_listen_hook(void (*hook)()) { first_listen_hook.store(hook); }

void note_listen() {
    if (!first_listen_hook.load(std::memory_order_relaxed)) return;
    if (auto hook = first_listen_hook.exchange(nullptr)) hook();
}

}  // namespace net
