// NETLINK_ROUTE's requests: links, addresses and routes, to be read only (rtnetlink(7)).
#pragma once

#include "net/netlink/netlink_socket.h"

namespace net {

// Answers all messages in `request` for the socket `port`: dumps end with NLMSG_DONE, what fails is answered with
// NLMSG_ERROR. Takes the stack. ENOMEM.
Result<void> answer_route_requests(std::span<const std::byte> request, uint32_t port, NetlinkQueue& answers);

}  // namespace net
