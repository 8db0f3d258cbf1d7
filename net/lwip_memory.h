// How much memory the network stack uses: connections and packets, not our sockets.
#pragma once

#include <cstddef>

namespace net {

size_t stack_memory_used();
// Three quarters are used: the rest is for what connections cannot do without.
bool stack_memory_scarce();
// Allocations beyond it fail: packets are dropped, connections refused. 16 MiB until set.
void set_stack_memory_limit(size_t bytes);

}  // namespace net
