// lwIP's cyclic timers, run by one timer of ours only while they have something to do (LWIP_TIMERS_CUSTOM).
#pragma once

namespace net {

// After the first interface besides loopback exists: ARP, reassembly, DHCP and neighbour discovery begin to tick.
// Caller holds the stack.
void start_interface_timers();

// Test support: what the timer does when it expires; takes the stack's lock.
void run_timers();

}  // namespace net
