// TCP sockets (tcp(7)) on lwIP's raw API.
//
// Life of the lwIP connection (`pcb_`): made by connect() or by an incoming connection, owned by lwIP. We forget it
// (detach) when lwIP tells that it is gone, when both directions have ended, or when the socket is destroyed, which
// closes it gracefully in the background. All state is guarded by the stack.
//
// If the other end is a socket of this machine (`twin_`), bytes go past lwIP: tcp_direct.cpp.
#pragma once

#include "net/byte_queue.h"
#include "net/inet_socket.h"
#include "sched/wait_queue.h"

namespace net {

class StackLock;
class TcpListener;

class TcpSocket final : public InetSocket {
  public:
    TcpSocket(int family, uint32_t flags) : InetSocket(family, kSockStream, kSolTcp, flags) {}
    ~TcpSocket() override;

    Result<void> connect(const SocketAddress& address) override;
    Result<void> listen(int backlog) override;
    Result<Ref<Socket>> accept(uint32_t flags) override;
    Result<SocketAddress> peer_address() override;
    Result<void> shutdown(int how) override;
    Result<size_t> send(SendRequest& request) override;
    Result<size_t> receive(ReceiveRequest& request) override;
    Result<void> set_option(int level, int name, std::span<const std::byte> value) override;
    Result<size_t> get_option(int level, int name, std::span<std::byte> value) override;
    uint32_t poll(fs::PollRegistrar* registrar) override;

    // For TcpListener: a connection has come in. Takes over `pcb`; `listener` gave it. False: no memory.
    static bool accept_incoming(TcpSocket& listener, tcp_pcb* pcb);
    bool accept_queue_full() const { return accept_count_ > backlog_; }

    // For /proc/net. The socket of a connection: null before accept(2) has one, or after close(2). Bytes (of a listening
    // socket: connections) that wait. Caller holds the stack.
    static const TcpSocket* of(const tcp_pcb& pcb);
    struct Waiting { size_t unsent, unread; };
    Waiting waiting() const;

    core::ListHook listener_hook;  // TcpListener::members
    core::ListHook accept_hook;    // accept_queue_ or deferred_ of another socket

  protected:
    void common_option_changed(int name) override;
    Errno take_error() override;
    bool listening() override;
    Result<size_t> readable_bytes() override;
    Result<size_t> unsent_bytes() override;
    bool bind_allowed() const override { return state_ == State::kIdle; }
    void ip_options_changed() override;

  private:
    enum class State : uint8_t {
        kIdle,        // fresh, or a connection attempt failed
        kConnecting,  // SYN sent
        kConnected,   // established or closing
        kClosed,      // was connected; over or reset
        kListening,
    };
    struct TcpOptions {
        bool no_delay = false, cork = false;
        int keep_idle_s = 7200, keep_interval_s = 75, keep_count = 9, defer_accept_s = 0, user_timeout_ms = 0;
        int max_segment = 0;
    };

    using AcceptQueue = core::List<TcpSocket, &TcpSocket::accept_hook>;

    // lwIP's callbacks: the stack is held.
    static err_t on_connected(void* self, tcp_pcb* pcb, err_t error);
    static err_t on_received(void* self, tcp_pcb* pcb, pbuf* data, err_t error);
    static err_t on_sent(void* self, tcp_pcb* pcb, u16_t length);
    static void on_error(void* self, err_t error);
    static err_t on_idle(void* self, tcp_pcb* pcb);

    Result<void> start_connect(const Endpoint& peer);
    Result<void> finish_connect(StackLock& lock);
    Result<void> disconnect();
    void attach(tcp_pcb* pcb);
    void detach();
    void apply_options();
    void push_out();
    bool writable_now() const;
    size_t send_room() const;
    void consume(size_t size);
    void tell_received();
    void tell_space();
    size_t queued_bytes() const;
    void stop_listening(AcceptQueue& orphans);
    static void release(AcceptQueue& orphans);
    void enqueue_accepted(TcpSocket& child);

    // Connections within this machine. `twin_` is set where the last four are used.
    enum class Hold : bool { kNo, kYes };  // TCP_CORK, MSG_MORE
    static void find_twin(TcpSocket& child);
    void leave_twin();
    size_t receive_window() const;
    size_t direct_unsent() const;
    // Copies up to `size` bytes to the peer's queue, or holds them; finish_direct() then tells the peer, once.
    Result<size_t> send_direct(fs::Source& source, size_t size, Hold hold);
    void finish_direct(Hold hold);
    void release_held();

    State state_ = State::kIdle;
    tcp_pcb* pcb_ = nullptr;
    Endpoint peer_;
    Errno error_{};               // SO_ERROR
    bool connect_unreported_ = false;  // a non-blocking connect() whose success was not told yet
    bool peer_finished_ = false;  // FIN received
    bool read_shut_ = false, write_shut_ = false;
    bool wants_space_ = false;    // somebody found no room: tell when there is
    TcpOptions tcp_;

    ByteQueue received_;  // and not yet read
    TcpSocket* twin_ = nullptr;  // the other end, if it is on this machine and both are attached to their pcb_
    bool direct_ = false;        // what is in received_ did not come by lwIP
    ByteQueue held_;             // sent, but held back from the twin

    // Listening: connections ready for accept(), and (TCP_DEFER_ACCEPT) those that still owe data. Each holds one
    // reference of its socket.
    TcpListener* listener_ = nullptr;
    TcpSocket* deferred_by_ = nullptr;
    AcceptQueue accept_queue_, deferred_;
    int backlog_ = 0, accept_count_ = 0;

    sched::WaitQueue changed_;
};

// TCP_ESTABLISHED and so on (include/net/tcp_states.h).
uint8_t linux_state(tcp_state state);

// One listening lwIP connection and the sockets that share it (SO_REUSEPORT). Guarded by the stack.
class TcpListener {
  public:
    // The listener for the socket's address, made or joined. ENOMEM, EADDRINUSE.
    static Result<TcpListener*> join(TcpSocket& socket, const Endpoint& local);
    void leave(TcpSocket& socket);
    // No member has room for one more connection: SYNs are dropped, and the peers try again.
    bool full() const;
    // For /proc/net. Caller holds the stack.
    const core::List<TcpSocket, &TcpSocket::listener_hook>& members() const { return members_; }

  private:
    static err_t on_accept(void* self, tcp_pcb* pcb, err_t error);
    TcpSocket* choose(const tcp_pcb& pcb);

    tcp_pcb* pcb_ = nullptr;
    unsigned member_count_ = 0;
    core::List<TcpSocket, &TcpSocket::listener_hook> members_;
};

}  // namespace net
