// What /proc/net tells.
#pragma once

namespace net {

// Makes the stack's tables the content of /proc/net. Call once.
void register_network_view();

}  // namespace net
