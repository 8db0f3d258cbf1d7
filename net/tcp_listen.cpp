// Listening and accepting.
#include "net/ports.h"
#include "net/sip_hash.h"
#include "net/stack.h"
#include "net/stack_lock.h"
#include "net/tcp_socket.h"

namespace net {

namespace {
constexpr int kMaxBacklog = 4096;  // net.core.somaxconn
}

Result<void> TcpSocket::listen(int backlog) {
    // As unsigned numbers: a negative backlog means the largest.
    int limit = backlog < 0 || backlog > kMaxBacklog ? kMaxBacklog : backlog;
    {
        StackLock lock;
        if (state_ == State::kListening) {
            backlog_ = limit;
            return {};
        }
        if (state_ != State::kIdle) return fail(Errno::kInval);
        if (!has_port()) owner_ = 0;
        TRY(ensure_port());
        TRY(check_port(*this, local_, true));
        listener_ = TRY(TcpListener::join(*this, local_));
        backlog_ = limit;
        state_ = State::kListening;
        listening_ = true;
    }
    note_listen();
    return {};
}

// Leaves the listener; connections that nobody accepted move to `orphans`, to be dropped without the lock.
void TcpSocket::stop_listening(AcceptQueue& orphans) {
    listener_->leave(*this);
    listener_ = nullptr;
    listening_ = false;
    for (TcpSocket& child : deferred_) child.deferred_by_ = nullptr;
    orphans.splice(orphans.end(), accept_queue_);
    orphans.splice(orphans.end(), deferred_);
    accept_count_ = 0;
}

Result<Ref<Socket>> TcpSocket::accept(uint32_t flags) {
    StackLock lock;
    const Nanoseconds deadline = receive_deadline();
    for (;;) {
        if (state_ != State::kListening) return fail(Errno::kInval);
        if (!accept_queue_.empty()) break;
        if (!may_wait(0)) return fail(Errno::kAgain);
        switch (lock.wait(changed_, deadline, true)) {
        case sched::Wake::kWoken: break;
        case sched::Wake::kTimeout: return fail(Errno::kAgain);
        case sched::Wake::kInterrupted: return fail(interrupted(options_.receive_timeout));
        }
    }
    TcpSocket& child = accept_queue_.front();
    accept_queue_.pop_front();
    accept_count_--;
    child.set_flags(fs::kORdWr | (flags & fs::kONonBlock));
    return Ref<Socket>::adopt(&child);  // the queue's reference
}

bool TcpSocket::accept_incoming(TcpSocket& listener, tcp_pcb* pcb) {
    auto made = core::make_ref<TcpSocket>(listener.family(), 0u);
    if (!made) return false;
    TcpSocket& child = **made;
    child.options_ = listener.options_;
    child.tcp_ = listener.tcp_;
    child.v6_only_ = listener.v6_only_;
    child.type_of_service_ = listener.type_of_service_;
    child.time_to_live_ = listener.time_to_live_;
    child.state_ = State::kConnected;
    child.local_ = {pcb->local_ip, pcb->local_port};  // not entered in the port table: the connection is
    child.peer_ = {pcb->remote_ip, pcb->remote_port};
    child.attach(pcb);
    find_twin(child);
    made->release();
    listener.accept_count_++;
    if (listener.tcp_.defer_accept_s > 0) {
        child.deferred_by_ = &listener;
        listener.deferred_.push_back(child);
    } else {
        listener.accept_queue_.push_back(child);
        listener.changed_.wake_one(fs::kPollIn | fs::kPollRdNorm);
    }
    return true;
}

// `child` has what TCP_DEFER_ACCEPT waits for.
void TcpSocket::enqueue_accepted(TcpSocket& child) {
    child.accept_hook.unlink();
    child.deferred_by_ = nullptr;
    accept_queue_.push_back(child);
    changed_.wake_one(fs::kPollIn | fs::kPollRdNorm);
}

Result<TcpListener*> TcpListener::join(TcpSocket& socket, const Endpoint& local) {
    for (tcp_pcb_listen* other = tcp_listen_pcbs.listen_pcbs; other; other = other->next) {
        if (other->local_port != local.port || !same_address(other->local_ip, local.address)) continue;
        // check_port() has seen to it that its members share.
        auto& listener = *static_cast<TcpListener*>(other->callback_arg);
        listener.members_.push_back(socket);
        listener.member_count_++;
        return &listener;
    }
    auto listener = TRY(core::make<TcpListener>());
    tcp_pcb* pcb = tcp_new_ip_type(IP_GET_TYPE(&local.address));
    if (!pcb) return fail(Errno::kNoBufs);
    ip_set_option(pcb, SOF_REUSEADDR);
    err_t error = tcp_bind(pcb, &local.address, local.port);
    tcp_pcb* listening = error == ERR_OK ? tcp_listen_with_backlog_and_err(pcb, 0xff, &error) : nullptr;
    if (!listening) {
        tcp_abort(pcb);
        return fail(to_errno(error));
    }
    tcp_arg(listening, listener.get());
    tcp_accept(listening, on_accept);
    listener->pcb_ = listening;
    listener->members_.push_back(socket);
    listener->member_count_ = 1;
    return listener.release();
}

void TcpListener::leave(TcpSocket& socket) {
    socket.listener_hook.unlink();
    if (--member_count_ > 0) return;
    tcp_close(pcb_);
    delete this;
}

bool TcpListener::full() const {
    for (const TcpSocket& member : members_) {
        if (!member.accept_queue_full()) return false;
    }
    return true;
}

// Sockets that share a port get connections by a hash of the peer, as Linux does it; the next one with room if
// that one has none.
TcpSocket* TcpListener::choose(const tcp_pcb& pcb) {
    if (member_count_ == 1) {
        TcpSocket& only = members_.front();
        return only.accept_queue_full() ? nullptr : &only;
    }
    static const SipKey key = SipKey::random();
    struct { uint32_t address[4]; uint32_t port; } peer{};
    std::memcpy(peer.address, &pcb.remote_ip.u_addr, IP_IS_V6_VAL(pcb.remote_ip) ? 16 : 4);
    peer.port = pcb.remote_port;
    unsigned start = static_cast<unsigned>(sip_hash(key, std::as_bytes(std::span(&peer, 1))) % member_count_);
    auto it = members_.begin();
    std::advance(it, start);
    for (unsigned i = 0; i < member_count_; i++) {
        if (!it->accept_queue_full()) return &*it;
        if (++it == members_.end()) it = members_.begin();
    }
    return nullptr;
}

err_t TcpListener::on_accept(void* self, tcp_pcb* pcb, err_t error) {
    if (error != ERR_OK || !pcb) return ERR_OK;  // lwIP had no memory for the connection: the peer tries again
    TcpSocket* member = static_cast<TcpListener*>(self)->choose(*pcb);
    if (!member || !TcpSocket::accept_incoming(*member, pcb)) return ERR_MEM;  // lwIP resets it
    return ERR_OK;
}

}  // namespace net
