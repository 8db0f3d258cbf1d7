// Datagrams and seqpackets: whole messages.
#include <algorithm>

#include "net/unix/cycles.h"
#include "net/unix/unix_socket.h"

namespace net {

bool datagram_queue_full(const UnixEndpoint& receiver, const UnixEndpoint& sender, size_t limit) {
    if (receiver.peer.load(std::memory_order_relaxed) == &sender) return receiver.queued_bytes >= limit;
    return receiver.message_count > kMaxQueuedDatagrams;
}

Result<size_t> UnixSocket::send_seqpacket(SendRequest& request) {
    UnixEndpoint* peer = endpoint_->peer.load(std::memory_order_acquire);
    if (!peer) return fail(Errno::kNotConn);
    // unix_seqpacket_sendmsg(): an address is ignored.
    if (endpoint_->send_shut) return fail(Errno::kPipe);
    size_t size = request.data.remaining();
    if (size > send_limit()) return fail(Errno::kMsgSize);
    auto* message = TRY(UnixMessage::create(request.data, size));
    if (auto attached = attach_ancillary(*message, request); !attached) {
        dispose(message);
        return fail(attached.error());
    }
    TRY(queue_on_stream(*peer, message, request.flags, send_deadline()));
    return size;
}

Result<size_t> UnixSocket::send_datagram(SendRequest& request) {
    size_t size = request.data.remaining();
    Ref<UnixEndpoint> peer;
    bool by_name = request.to != nullptr;
    if (by_name) {
        TRY(parse_unix_address(*request.to));
    } else {
        peer = endpoint_->peer_ref();
        if (!peer) return fail(Errno::kNotConn);
    }
    if (size > send_limit()) return fail(Errno::kMsgSize);
    auto* message = TRY(UnixMessage::create(request.data, size));
    core::Defer destroy([&] { dispose(message); });
    TRY(attach_ancillary(*message, request));
    bool shut;
    {
        core::SpinGuard guard(endpoint_->lock);
        message->name = endpoint_->name;
        shut = endpoint_->send_shut;
    }
    if (by_name) peer = TRY(find_unix_endpoint(*request.to));
    if (peer->type != kSockDgram) return fail(Errno::kPrototype);
    if (shut) return fail(Errno::kPipe);
    const Nanoseconds deadline = send_deadline();
    bool gone = false;
    {
        core::SpinGuard guard(peer->lock);
        for (;;) {
            UnixEndpoint* theirs = peer->peer.load(std::memory_order_relaxed);
            if (theirs && theirs != endpoint_.get()) return fail(Errno::kPerm);
            if (peer->state == UnixEndpoint::State::kClosed) {
                gone = true;
                break;
            }
            if (peer->receive_shut) return fail(Errno::kPipe);
            if (!datagram_queue_full(*peer, *endpoint_, send_limit())) {
                destroy.cancel();
                const bool sockets = !message->files.empty() && carries_sockets(*message);
                peer->push_locked(*message);
                guard.unlock();
                if (sockets) note_carrier(*peer);
                return size;
            }
            if (!may_wait(request.flags)) return fail(Errno::kAgain);
            auto wake = peer->space.wait(guard, peer->lock, deadline, sched::Interruptible::kYes);
            if (wake != sched::Wake::kWoken) return fail(wait_failure(wake, options_.send_timeout));
        }
    }
    // The receiver has closed: a connected sender is not connected any more.
    if (gone && !by_name) {
        Ref<UnixEndpoint> old;
        core::SpinGuard guard(endpoint_->lock);
        if (endpoint_->peer.load(std::memory_order_relaxed) == peer.get()) {
            old = Ref<UnixEndpoint>::adopt(endpoint_->peer.exchange(nullptr, std::memory_order_acq_rel));
            endpoint_->state = UnixEndpoint::State::kIdle;
        }
        guard.unlock();
    }
    return fail(Errno::kConnRefused);
}

Result<size_t> UnixSocket::receive_packet(ReceiveRequest& request) {
    UnixEndpoint& own = *endpoint_;
    const bool peek = request.flags & kMsgPeek;
    const Nanoseconds deadline = receive_deadline();
    UnixMessage* finished = nullptr;
    core::Defer destroy_finished([&] { dispose(finished); });

    core::SpinGuard guard(own.lock);
    if (type() == kSockSeqpacket && own.state != UnixEndpoint::State::kConnected) return fail(Errno::kNotConn);
    while (own.messages.empty()) {
        if (own.error != Errno{}) return fail(std::exchange(own.error, Errno{}));
        if (own.receive_shut) return 0;
        if (!may_wait(request.flags)) return fail(Errno::kAgain);
        auto wake = own.changed.wait(guard, own.lock, deadline, sched::Interruptible::kYes);
        if (wake != sched::Wake::kWoken) return fail(wait_failure(wake, options_.receive_timeout));
    }
    UnixMessage& message = own.messages.front();
    size_t copied = std::min(message.size, request.data.remaining());
    Result<void> status;
    if (copied) status = request.data.put(message.data(), copied);
    if (status) status = deliver_ancillary(message, request, peek);
    if (copied < message.size) request.result_flags |= kMsgTrunc;
    if (type() == kSockSeqpacket) request.result_flags |= kMsgEor;
    if (request.from && message.name) *request.from = message.name->address;
    if (request.ancillary && options_.pass_credentials) {
        request.ancillary->has_credentials = true;
        request.ancillary->credentials = message.sender;
    }
    size_t result = request.flags & kMsgTrunc ? message.size : copied;
    if (!peek) {
        message.hook.unlink();
        own.message_count--;
        own.queued_bytes -= message.size;
        finished = &message;
        own.made_room_locked();
    }
    if (!status) return fail(status.error());
    return result;
}

}  // namespace net
