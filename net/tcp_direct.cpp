// Connections between two sockets of this machine.
//
// lwIP makes, watches and ends them, as any connection; their bytes do not pass through it. send() puts them into the
// queue from which the other end's recv() takes: no segments, acknowledgements, windows or timers, and one copy each
// way. For lwIP such a connection is one on which nobody has said anything yet, so that FIN, RST and keep-alive work as
// ever, and come after the bytes, which are there at once.
//
// What a sender may have under way is what SO_SNDBUF and the receiver's SO_RCVBUF allow together, as with windows.
#include <algorithm>

#include <atomic>

#include "net/stack.h"
#include "net/tcp_socket.h"

namespace net {

namespace {

std::atomic<bool> direct_connections{true};

// What TCP_CORK and MSG_MORE hold back at most.
constexpr size_t kMaxHeld = 16 * 1024;

}  // namespace

void set_direct_connections(bool on) { direct_connections.store(on, std::memory_order_relaxed); }

// `child` has just been accepted. Its peer's connection is found by its addresses, unless the peer is elsewhere.
void TcpSocket::find_twin(TcpSocket& child) {
    if (!direct_connections.load(std::memory_order_relaxed)) return;
    const tcp_pcb& here = *child.pcb_;
    for (tcp_pcb* there = tcp_active_pcbs; there; there = there->next) {
        if (there->local_port != here.remote_port || there->remote_port != here.local_port ||
            !ip_addr_cmp(&there->local_ip, &here.remote_ip) || !ip_addr_cmp(&there->remote_ip, &here.local_ip)) {
            continue;
        }
        // Bytes that are on their way already would be overtaken.
        if (there->state != ESTABLISHED || there->recv != on_received || there->unsent || there->unacked) return;
        child.twin_ = static_cast<TcpSocket*>(there->callback_arg);
        child.twin_->twin_ = &child;
        child.direct_ = child.twin_->direct_ = true;
        return;
    }
}

void TcpSocket::leave_twin() {
    if (!twin_) return;
    twin_->held_.clear();
    twin_->twin_ = nullptr;
    held_.clear();
    twin_ = nullptr;
}

// How much a peer on this machine may send ahead of recv(), beyond its own send buffer.
size_t TcpSocket::receive_window() const {
    return std::min<size_t>(static_cast<size_t>(options_.receive_buffer), TCP_WND);
}

size_t TcpSocket::direct_unsent() const {
    size_t window = twin_->receive_window(), queued = twin_->received_.size() + held_.size();
    return queued > window ? queued - window : 0;
}

Result<size_t> TcpSocket::send_direct(fs::Source& source, size_t size, Hold hold) {
    if (hold == Hold::kYes) return held_.fill(source, size);
    release_held();
    return twin_->received_.fill(source, size);
}

void TcpSocket::finish_direct(Hold hold) {
    if (hold == Hold::kYes && held_.size() < kMaxHeld) {
        // Not for ever: lwIP calls on_idle() every half second.
        tcp_poll(pcb_, on_idle, 1);
        return;
    }
    release_held();
    if (!twin_->received_.empty()) twin_->tell_received();
}

void TcpSocket::release_held() {
    if (twin_) twin_->received_.append(held_);
}

err_t TcpSocket::on_idle(void* self, tcp_pcb*) {
    auto* socket = static_cast<TcpSocket*>(self);
    if (socket && !socket->held_.empty()) socket->finish_direct(Hold::kNo);
    return ERR_OK;
}

// The reader has made room.
void TcpSocket::tell_space() {
    if (!wants_space_ || !writable_now()) return;
    wants_space_ = false;
    changed_.wake_all(fs::kPollOut | fs::kPollWrNorm);
}

}  // namespace net
