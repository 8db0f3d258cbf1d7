// The network stack behind an interface, so that it can be replaced. Today: lwIP's raw API, run inline under
// one lock (Rank::kNet), called from system calls, from the receive interrupt and from timers.
#pragma once

#include "core/memory.h"
#include "core/types.h"
#include "drivers/devices.h"

namespace net {

struct Configuration {
    bool dhcp = false;
    uint32_t address = 0, netmask = 0, gateway = 0, dns = 0;  // IPv4, network byte order; 0: none
    uint8_t address6[16] = {};
    unsigned prefix6 = 0;  // 0: no IPv6 address but link-local
};

// Starts loopback and, if `device` is not null, the interface eth0. Call once. With DHCP the address comes later, by
// the receive interrupt: configured() tells. `stack_memory` bounds what connections and packets may use, in bytes.
// ENOMEM.
Result<void> initialize(drivers::NetworkDevice* device, const Configuration& configuration,
                        size_t stack_memory = 16u << 20);
// eth0 has an IPv4 address, or there is none to come.
bool configured();

// Off: bytes of new connections within this machine pass through the stack too, as those of others do, instead of going
// from socket to socket. For tests of the stack; on at the start.
void set_direct_connections(bool on);

// Called once, when a program first listens on a TCP port or chooses a UDP port ("ready" of docs/boot-protocol.md).
void set_first_listen_hook(void (*hook)());
// For inet sockets: a program does so. Caller must not hold the stack.
void note_listen();

}  // namespace net
