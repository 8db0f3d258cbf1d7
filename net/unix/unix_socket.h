// AF_UNIX sockets (unix(7)): the open file around an endpoint. connection.cpp binds, connects and accepts;
// stream.cpp and datagram.cpp move data.
#pragma once

#include "net/socket.h"
#include "net/unix/endpoint.h"

namespace net {

class UnixSocket final : public Socket {
  public:
    UnixSocket(int type, uint32_t flags, Ref<UnixEndpoint> endpoint);
    ~UnixSocket() override;

    static Result<Ref<UnixSocket>> create(int type, uint32_t flags);
    static Result<SocketPair> create_pair(int type, uint32_t flags);

    Result<void> bind(const SocketAddress& address) override;
    Result<void> connect(const SocketAddress& address) override;
    Result<void> listen(int backlog) override;
    Result<Ref<Socket>> accept(uint32_t flags) override;
    Result<SocketAddress> local_address() override;
    Result<SocketAddress> peer_address() override;
    Result<void> shutdown(int how) override;
    Result<size_t> send(SendRequest& request) override;
    Result<size_t> receive(ReceiveRequest& request) override;
    Result<size_t> get_option(int level, int name, std::span<std::byte> value) override;
    uint32_t poll(fs::PollRegistrar* registrar) override;

    UnixEndpoint& endpoint() { return *endpoint_; }

    // Calls `visit(socket)` for each AF_UNIX socket, oldest first, under the table's lock (Rank::kFile).
    template <typename Visit>
    static void for_each(Visit visit);

  protected:
    Errno take_error() override;
    bool listening() override;
    Result<size_t> readable_bytes() override;
    Result<size_t> unsent_bytes() override;

  private:
    Result<void> connect_stream(const SocketAddress& address);
    Result<void> connect_datagram(const SocketAddress& address);
    Result<size_t> send_stream(SendRequest& request);
    Result<size_t> send_seqpacket(SendRequest& request);
    Result<size_t> send_datagram(SendRequest& request);
    Result<size_t> receive_stream(ReceiveRequest& request);
    Result<size_t> receive_packet(ReceiveRequest& request);
    Result<void> queue_on_stream(UnixEndpoint& peer, UnixMessage* message, int flags, Nanoseconds deadline);
    Result<void> attach_ancillary(UnixMessage& message, SendRequest& request);
    Result<void> deliver_ancillary(UnixMessage& message, ReceiveRequest& request, bool peek);
    Errno wait_failure(sched::Wake wake, Nanoseconds timeout) const;
    size_t send_limit() const { return static_cast<size_t>(options_.send_buffer); }

    const Ref<UnixEndpoint> endpoint_;
    core::ListHook table_hook_;  // guarded by the table's lock

    struct Table;
    static Table& table();
};

struct UnixSocket::Table {
    core::Spinlock lock{core::Rank::kFile};  // before any endpoint's
    core::List<UnixSocket, &UnixSocket::table_hook_> sockets;
};

template <typename Visit>
void UnixSocket::for_each(Visit visit) {
    core::SpinGuard guard(table().lock);
    for (UnixSocket& socket : table().sockets) visit(socket);
}

// A datagram queue with more than this many is full (net.unix.max_dgram_qlen).
inline constexpr unsigned kMaxQueuedDatagrams = 10;
// Is there no room for a datagram from `sender`? Peers of each other are bounded by bytes only. Caller holds
// `receiver.lock`.
bool datagram_queue_full(const UnixEndpoint& receiver, const UnixEndpoint& sender, size_t limit);

}  // namespace net
