// Connecting, closing, and lwIP's callbacks; tcp_transfer.cpp, tcp_listen.cpp and tcp_options.cpp have the rest.
#include "net/tcp_socket.h"

#include "net/ports.h"
#include "net/stack_lock.h"

namespace net {

// References are dropped without the stack: the destructor takes it.
void TcpSocket::release(AcceptQueue& orphans) {
    while (!orphans.empty()) {
        TcpSocket& child = orphans.front();
        orphans.pop_front();
        child.options_.linger = true;  // nobody will answer: the peer gets a reset
        child.options_.linger_seconds = 0;
        child.unref();
    }
}

TcpSocket::~TcpSocket() {
    AcceptQueue orphans;
    {
        StackLock lock;
        if (state_ == State::kListening) stop_listening(orphans);
        if (tcp_pcb* pcb = pcb_) {
            // Linger with time 0: reset. Otherwise the rest is sent in the background; unread data makes it a reset,
            // as in Linux (RFC 2525, 2.17).
            bool reset = (options_.linger && options_.linger_seconds == 0) || (direct_ && !received_.empty());
            release_held();
            detach();
            if (reset) tcp_abort(pcb);
            else if (tcp_close(pcb) != ERR_OK) tcp_abort(pcb);
        }
        received_.clear();
        unclaim_port(*this);
    }
    release(orphans);
}

void TcpSocket::attach(tcp_pcb* pcb) {
    pcb_ = pcb;
    tcp_arg(pcb, this);
    tcp_recv(pcb, on_received);
    tcp_sent(pcb, on_sent);
    tcp_err(pcb, on_error);
    apply_options();
}

void TcpSocket::detach() {
    leave_twin();
    tcp_arg(pcb_, nullptr);
    tcp_recv(pcb_, nullptr);  // lwIP then takes and acknowledges what comes
    tcp_sent(pcb_, nullptr);
    tcp_err(pcb_, nullptr);
    tcp_poll(pcb_, nullptr, 0);
    pcb_ = nullptr;
}

// tcp_err() is told after lwIP has freed the connection.
void TcpSocket::on_error(void* self, err_t error) {
    auto& socket = *static_cast<TcpSocket*>(self);
    socket.pcb_ = nullptr;
    socket.leave_twin();
    bool was_connecting = socket.state_ == State::kConnecting;
    if (error == ERR_RST) {
        // A reset after the peer's FIN is EPIPE in Linux (tcp_reset()).
        socket.error_ = was_connecting ? Errno::kConnRefused
                        : socket.peer_finished_ ? Errno::kPipe : Errno::kConnReset;
    } else if (error == ERR_ABRT) {
        socket.error_ = Errno::kTimedOut;  // retransmissions or keep-alive probes gave up
    }
    socket.state_ = State::kClosed;
    socket.peer_finished_ = true;
    uint32_t events = fs::kPollIn | fs::kPollOut | fs::kPollRdHup | fs::kPollHup | fs::kPollRdNorm | fs::kPollWrNorm;
    if (socket.error_ != Errno{}) events |= fs::kPollErr;
    if (socket.deferred_by_) {
        // Died before accept() could see it: leaves the listener's list, which held a reference. lwIP is in the
        // middle of this connection, so the destructor must find nothing to do with it, and it does: pcb_ is null.
        // But it would take the stack's lock; so it moves to the accept queue instead, as Linux hands out dead
        // connections too.
        socket.deferred_by_->enqueue_accepted(socket);
    }
    socket.changed_.wake_all(events);
}

err_t TcpSocket::on_connected(void* self, tcp_pcb*, err_t) {
    auto& socket = *static_cast<TcpSocket*>(self);
    socket.state_ = State::kConnected;
    socket.changed_.wake_all(fs::kPollOut | fs::kPollWrNorm);
    return ERR_OK;
}

err_t TcpSocket::on_received(void* self, tcp_pcb*, pbuf* data, err_t) {
    auto& socket = *static_cast<TcpSocket*>(self);
    if (!data) {  // FIN
        socket.peer_finished_ = true;
        uint32_t events = fs::kPollIn | fs::kPollRdNorm | fs::kPollRdHup;
        if (socket.write_shut_) {
            // Both directions are over; what is left is lwIP's. It frees such connections without telling us.
            socket.detach();
            socket.state_ = State::kClosed;
            events |= fs::kPollHup;
        }
        if (socket.deferred_by_) socket.deferred_by_->enqueue_accepted(socket);
        socket.changed_.wake_all(events);
        return ERR_OK;
    }
    socket.received_.append(data);
    socket.tell_received();
    return ERR_OK;
}

err_t TcpSocket::on_sent(void* self, tcp_pcb*, u16_t) {
    auto& socket = *static_cast<TcpSocket*>(self);
    if (socket.wants_space_ && socket.writable_now()) {
        socket.wants_space_ = false;
        socket.changed_.wake_all(fs::kPollOut | fs::kPollWrNorm);
    }
    return ERR_OK;
}

Result<void> TcpSocket::connect(const SocketAddress& address) {
    if (address.size < sizeof(uint16_t)) return fail(Errno::kInval);
    if (address.family() == kAfUnspec) return disconnect();
    Endpoint peer = TRY(decode_address(address, family(), false));
    StackLock lock;
    switch (state_) {
    case State::kListening: return fail(Errno::kIsConn);
    case State::kConnecting:
        if (!may_wait(0)) return fail(Errno::kAlready);
        return finish_connect(lock);
    case State::kConnected:
        if (!connect_unreported_) return fail(Errno::kIsConn);
        connect_unreported_ = false;
        return {};
    case State::kClosed:
        if (!connect_unreported_) return fail(Errno::kIsConn);
        // A non-blocking attempt has failed: tell why, and allow another.
        return finish_connect(lock);
    case State::kIdle: break;
    }
    if (v6_only_ && IP_IS_V4_VAL(peer.address)) return fail(Errno::kNetUnreach);
    TRY(start_connect(peer));
    if (!may_wait(0)) {
        connect_unreported_ = true;
        return fail(Errno::kInProgress);
    }
    return finish_connect(lock);
}

Result<void> TcpSocket::start_connect(const Endpoint& peer) {
    Endpoint target{wildcard_to_loopback(peer.address), peer.port};
    if (IP_IS_ANY_TYPE_VAL(target.address)) ip_addr_set_loopback_val(1, target.address);
    if (ip_addr_ismulticast(&target.address)) return fail(Errno::kNetUnreach);
    if (IP_IS_V6_VAL(target.address) && ip6_addr_lacks_zone(ip_2_ip6(&target.address), IP6_UNICAST)) {
        return fail(Errno::kInval);  // ipv6(7): link-local addresses need sin6_scope_id
    }
    bool bound_before = has_port();
    for (unsigned attempt = 0;; attempt++) {
        TRY(ensure_port());
        tcp_pcb* pcb = tcp_new_ip_type(IP_GET_TYPE(&target.address));
        if (!pcb) return fail(Errno::kNoBufs);
        ip_set_option(pcb, SOF_REUSEADDR);
        ip_addr_t source{};
        source.type = IP_GET_TYPE(&target.address);
        if (!is_wildcard(local_.address)) source = local_.address;
        err_t error = tcp_bind(pcb, &source, local_.port);
        if (error == ERR_OK) {
            attach(pcb);
            error = tcp_connect(pcb, &target.address, target.port, on_connected);
        }
        if (error == ERR_OK) break;
        pcb_ = nullptr;
        tcp_arg(pcb, nullptr);
        tcp_err(pcb, nullptr);
        tcp_abort(pcb);
        if (!bound_before) release_port();
        if (error != ERR_USE) return fail(to_errno(error));
        // The same pair of addresses waits out its time, or is in use.
        if (bound_before || attempt >= 16) return fail(Errno::kAddrNotAvail);
    }
    local_.address = pcb_->local_ip;
    peer_ = target;
    state_ = State::kConnecting;
    direct_ = false;
    error_ = Errno{};
    peer_finished_ = read_shut_ = write_shut_ = false;
    return {};
}

Result<void> TcpSocket::finish_connect(StackLock& lock) {
    Nanoseconds deadline = send_deadline();
    while (state_ == State::kConnecting) {
        switch (lock.wait(changed_, deadline)) {
        case sched::Wake::kWoken: break;
        case sched::Wake::kTimeout:
            connect_unreported_ = true;
            return fail(Errno::kInProgress);
        case sched::Wake::kInterrupted:
            connect_unreported_ = true;
            return fail(interrupted(options_.send_timeout));
        }
    }
    connect_unreported_ = false;
    if (state_ == State::kConnected) return {};
    Errno error = std::exchange(error_, Errno{});
    state_ = State::kIdle;
    peer_finished_ = read_shut_ = write_shut_ = false;
    release_port();
    return fail(error == Errno{} ? Errno::kConnAborted : error);
}

// connect(2) with AF_UNSPEC: back to a fresh socket.
Result<void> TcpSocket::disconnect() {
    AcceptQueue orphans;
    {
        StackLock lock;
        if (state_ == State::kListening) stop_listening(orphans);
        if (tcp_pcb* pcb = pcb_) {
            detach();
            tcp_abort(pcb);
        }
        received_.clear();
        state_ = State::kIdle;
        error_ = Errno{};
        peer_finished_ = read_shut_ = write_shut_ = connect_unreported_ = false;
        release_port();
        changed_.wake_all();
    }
    release(orphans);
    return {};
}

Result<SocketAddress> TcpSocket::peer_address() {
    StackLock lock;
    if (state_ != State::kConnected) return fail(Errno::kNotConn);
    return encode_address(peer_, family());
}

Result<void> TcpSocket::shutdown(int how) {
    AcceptQueue orphans;
    Result<void> result;
    {
        StackLock lock;
        bool read = how == kShutRead || how == kShutBoth, write = how == kShutWrite || how == kShutBoth;
        switch (state_) {
        case State::kListening:
            // Linux: the end of listening; waiting accept(2)s fail with EINVAL.
            if (read) {
                stop_listening(orphans);
                state_ = State::kIdle;
                changed_.wake_all();
            }
            break;
        case State::kConnecting:
        case State::kConnected:
            if (read) read_shut_ = true;
            if (write && !write_shut_) {
                if (state_ == State::kConnecting) {
                    tcp_pcb* pcb = pcb_;
                    detach();
                    tcp_abort(pcb);
                    state_ = State::kClosed;
                    error_ = Errno::kConnReset;
                } else {
                    release_held();
                    if (twin_ && !twin_->received_.empty()) twin_->tell_received();
                    // SHUT_RD is ours alone: lwIP would answer further data with a reset, Linux takes it.
                    if (tcp_shutdown(pcb_, 0, 1) != ERR_OK) result = fail(Errno::kNoBufs);
                    write_shut_ = true;
                    if (peer_finished_) {
                        detach();
                        state_ = State::kClosed;
                    }
                }
            }
            changed_.wake_all(fs::kPollIn | fs::kPollOut | fs::kPollHup | fs::kPollRdHup);
            break;
        case State::kIdle:
        case State::kClosed: result = fail(Errno::kNotConn); break;
        }
    }
    release(orphans);
    return result;
}

uint32_t TcpSocket::poll(fs::PollRegistrar* registrar) {
    if (registrar) registrar->watch(changed_);
    StackLock lock;
    // After tcp_poll() of Linux.
    if (state_ == State::kListening) return accept_queue_.empty() ? 0 : fs::kPollIn | fs::kPollRdNorm;
    uint32_t events = 0;
    bool over = state_ == State::kIdle || state_ == State::kClosed;
    bool no_more_input = peer_finished_ || read_shut_;
    bool no_more_output = write_shut_ || state_ == State::kClosed;
    if (over || (no_more_input && no_more_output)) events |= fs::kPollHup;
    if (no_more_input) events |= fs::kPollIn | fs::kPollRdNorm | fs::kPollRdHup;
    if (state_ != State::kConnecting) {
        size_t enough = static_cast<size_t>(options_.receive_low_water);
        if (!received_.empty() && received_.size() >= enough) events |= fs::kPollIn | fs::kPollRdNorm;
        if (no_more_output || over || writable_now()) events |= fs::kPollOut | fs::kPollWrNorm;
        else wants_space_ = true;
    }
    if (error_ != Errno{}) events |= fs::kPollErr;
    return events;
}

Errno TcpSocket::take_error() {
    StackLock lock;
    return std::exchange(error_, Errno{});
}

bool TcpSocket::listening() {
    StackLock lock;
    return state_ == State::kListening;
}

}  // namespace net
