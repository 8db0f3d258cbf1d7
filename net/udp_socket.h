// UDP sockets (udp(7)) on lwIP's raw API.
#pragma once

#include "net/inet_socket.h"
#include "sched/wait_queue.h"

namespace net {

class UdpSocket final : public InetSocket {
  public:
    UdpSocket(int family, uint32_t flags) : InetSocket(family, kSockDgram, kSolUdp, flags) {}
    ~UdpSocket() override;

    // Makes lwIP's side; call once after construction. ENOBUFS.
    Result<void> initialize();

    Result<void> bind(const SocketAddress& address) override;
    Result<void> connect(const SocketAddress& address) override;
    Result<SocketAddress> peer_address() override;
    Result<void> shutdown(int how) override;
    Result<size_t> send(SendRequest& request) override;
    Result<size_t> receive(ReceiveRequest& request) override;
    uint32_t poll(fs::PollRegistrar* registrar) override;

    // An ICMP error says that nobody listens at `peer`, to which this socket sent. Caller holds the stack.
    void refused();
    static UdpSocket* find(const Endpoint& local, const Endpoint& peer);

    // For /proc/net. Null if it is the stack's own. Caller holds the stack.
    static const UdpSocket* of(const udp_pcb& pcb);
    struct Shown { Endpoint local, peer; bool connected; size_t unread; };
    Shown shown() const { return {local_, peer_, connected_, received_bytes_}; }

  protected:
    Errno take_error() override;
    Result<size_t> readable_bytes() override;
    Result<size_t> unsent_bytes() override { return 0; }
    bool bind_allowed() const override { return true; }
    Result<void> bound() override;
    void ip_options_changed() override;

  private:
    struct Datagram {
        core::ListHook hook;
        pbuf* data = nullptr;
        Endpoint from;
        ip_addr_t to{};
        uint32_t interface = 0;
        uint64_t arrived_ns = 0;  // realtime
        ~Datagram();
    };

    static void on_received(void* self, udp_pcb* pcb, pbuf* data, const ip_addr_t* address, u16_t port);
    Result<void> bind_lwip();

    udp_pcb* pcb_ = nullptr;
    Endpoint peer_;
    bool connected_ = false, read_shut_ = false, write_shut_ = false;
    Errno error_{};
    core::List<Datagram, &Datagram::hook> received_;
    size_t received_bytes_ = 0;
    sched::WaitQueue changed_;
};

}  // namespace net
