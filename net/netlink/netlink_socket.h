// AF_NETLINK sockets for NETLINK_ROUTE (netlink(7), rtnetlink(7)): what getifaddrs(3) and `ip` ask. Requests are
// answered at once, by net/netlink/route.cpp; the answers wait in the socket. Nothing is announced to groups.
#pragma once

#include "core/vector.h"
#include "net/socket.h"
#include "sched/wait_queue.h"

namespace net {

// One datagram from the kernel; holds whole messages.
struct NetlinkDatagram {
    core::ListHook hook;
    core::Vector<std::byte> bytes;
};
using NetlinkQueue = core::List<NetlinkDatagram, &NetlinkDatagram::hook>;

class NetlinkSocket final : public Socket {
  public:
    NetlinkSocket(int type, uint32_t flags) : Socket(kAfNetlink, type, 0, flags) {}
    ~NetlinkSocket() override;

    Result<void> bind(const SocketAddress& address) override;
    Result<void> connect(const SocketAddress& address) override;
    Result<SocketAddress> local_address() override;
    Result<SocketAddress> peer_address() override;
    Result<void> shutdown(int how) override;
    Result<size_t> send(SendRequest& request) override;
    Result<size_t> receive(ReceiveRequest& request) override;
    uint32_t poll(fs::PollRegistrar* registrar) override;

  private:
    void ensure_port_locked();

    core::Spinlock lock_{core::Rank::kSocket};
    uint32_t port_ = 0;  // nl_pid; 0: not bound
    uint32_t groups_ = 0;
    NetlinkQueue queue_;
    sched::WaitQueue changed_;
};

}  // namespace net
