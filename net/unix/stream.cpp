// Streams: sending and receiving bytes.
#include <algorithm>

#include "net/unix/cycles.h"
#include "net/unix/unix_socket.h"

namespace net {

namespace {
// Long writes are cut, so that the reader can begin early and no allocation is large.
constexpr size_t kMaxPiece = 32 * 1024;
}  // namespace

Result<size_t> UnixSocket::send(SendRequest& request) {
    if (request.flags & kMsgOob) return fail(Errno::kOpNotSupp);
    switch (type()) {
    case kSockStream: return send_stream(request);
    case kSockSeqpacket: return send_seqpacket(request);
    default: return send_datagram(request);
    }
}

Result<size_t> UnixSocket::receive(ReceiveRequest& request) {
    if (request.flags & kMsgOob) return fail(Errno::kOpNotSupp);
    if (request.flags & kMsgErrQueue) return fail(Errno::kAgain);
    if (request.from) request.from->size = 0;
    return type() == kSockStream ? receive_stream(request) : receive_packet(request);
}

// Puts `message` (taken over in any case) into the peer's queue, waiting for room.
Result<void> UnixSocket::queue_on_stream(UnixEndpoint& peer, UnixMessage* message, int flags, Nanoseconds deadline) {
    Errno failure{};
    const bool sockets = !message->files.empty() && carries_sockets(*message);
    {
        core::SpinGuard guard(peer.lock);
        for (;;) {
            if (peer.receive_shut || peer.state == UnixEndpoint::State::kClosed || endpoint_->send_shut) {
                failure = Errno::kPipe;
                break;
            }
            if (peer.queued_bytes < send_limit()) {
                peer.push_locked(*message);
                if (sockets) {
                    guard.unlock();
                    note_carrier(peer);
                }
                return {};
            }
            if (!may_wait(flags)) {
                peer.writer_starved = true;
                failure = Errno::kAgain;
                break;
            }
            auto wake = peer.space.wait(guard, peer.lock, deadline, sched::Interruptible::kYes);
            if (wake != sched::Wake::kWoken) {
                failure = wait_failure(wake, options_.send_timeout);
                break;
            }
        }
    }
    dispose(message);
    return fail(failure);
}

Result<size_t> UnixSocket::send_stream(SendRequest& request) {
    UnixEndpoint* peer = endpoint_->peer.load(std::memory_order_acquire);
    if (request.to) return fail(peer ? Errno::kIsConn : Errno::kOpNotSupp);
    if (!peer) return fail(Errno::kNotConn);
    if (endpoint_->send_shut) return fail(Errno::kPipe);
    const Nanoseconds deadline = send_deadline();
    size_t sent = 0;
    while (request.data.remaining() > 0) {
        size_t size = std::min(request.data.remaining(), kMaxPiece);
        // Full, and nobody wants to wait: found out before anything is copied.
        if (peer->queued_bytes >= send_limit() && !may_wait(request.flags)) {
            core::SpinGuard guard(peer->lock);
            peer->writer_starved = true;
            if (peer->queued_bytes >= send_limit() && !peer->receive_shut) {
                return sent ? Result<size_t>(sent) : fail(Errno::kAgain);
            }
        }
        auto message = UnixMessage::create(request.data, size);
        if (!message) return sent ? Result<size_t>(sent) : fail(message.error());
        if (auto attached = attach_ancillary(**message, request); !attached) {
            dispose(*message);
            return sent ? Result<size_t>(sent) : fail(attached.error());
        }
        auto queued = queue_on_stream(*peer, *message, request.flags, deadline);
        if (!queued) {
            request.data.give_back(size);
            return sent ? Result<size_t>(sent) : fail(queued.error());
        }
        sent += size;
    }
    return sent;
}

Result<size_t> UnixSocket::receive_stream(ReceiveRequest& request) {
    UnixEndpoint& own = *endpoint_;
    const size_t wanted = request.data.remaining();
    const bool peek = request.flags & kMsgPeek;
    const size_t target = request.flags & kMsgWaitAll ? wanted
                          : std::max<size_t>(1, std::min<size_t>(wanted, static_cast<size_t>(options_.receive_low_water)));
    const Nanoseconds deadline = receive_deadline();
    UnixMessageList finished;  // destroyed after the lock is released
    core::Defer destroy_finished([&] { dispose(finished); });
    size_t received = 0;
    Errno failure{};
    bool has_sender = false;
    PeerCredentials sender;

    core::SpinGuard guard(own.lock);
    if (own.state != UnixEndpoint::State::kConnected) return fail(Errno::kInval);
    for (;;) {
        bool stop = false, made_room = false;
        auto it = own.messages.begin();
        while (it != own.messages.end() && received < wanted && !stop) {
            UnixMessage& message = *it;
            if (options_.pass_credentials) {
                // Bytes of different senders do not come in one read.
                bool same = !has_sender || (sender.pid == message.sender.pid && sender.uid == message.sender.uid &&
                                            sender.gid == message.sender.gid);
                if (!same) {
                    stop = true;
                    break;
                }
                sender = message.sender;
                has_sender = true;
            }
            size_t size = std::min(message.left(), wanted - received);
            if (auto put = request.data.put(message.data() + message.offset, size); !put) {
                failure = put.error();
                stop = true;
                break;
            }
            received += size;
            if (!message.files.empty()) {
                // Descriptors come with the first byte of their message, and end the read.
                stop = true;
                if (auto given = deliver_ancillary(message, request, peek); !given) failure = given.error();
            }
            if (peek) {
                ++it;
                continue;
            }
            message.offset += size;
            own.queued_bytes -= size;
            made_room = true;
            if (message.left() > 0) break;
            it = own.messages.erase(it);
            own.message_count--;
            finished.push_back(message);
        }
        if (made_room) own.made_room_locked();
        if (stop || received >= wanted || (received && (peek || received >= target))) break;
        if (own.error != Errno{}) {
            if (!received) failure = std::exchange(own.error, Errno{});
            break;
        }
        if (own.receive_shut) break;
        if (!may_wait(request.flags)) {
            failure = Errno::kAgain;
            break;
        }
        auto wake = own.changed.wait(guard, own.lock, deadline, sched::Interruptible::kYes);
        if (wake != sched::Wake::kWoken) {
            failure = wait_failure(wake, options_.receive_timeout);
            break;
        }
    }
    guard.unlock();
    if (has_sender && request.ancillary && received) {
        request.ancillary->has_credentials = true;
        request.ancillary->credentials = sender;
    }
    if (received || failure == Errno{}) return received;
    return fail(failure);
}

// Control messages of the sender into `message`.
Result<void> UnixSocket::attach_ancillary(UnixMessage& message, SendRequest& request) {
    message.sender = current_credentials();
    if (!request.ancillary) return {};
    if (request.ancillary->has_credentials) message.sender = request.ancillary->credentials;
    message.files = std::move(request.ancillary->files);
    return {};
}

// Descriptors of `message` to the receiver; those that nobody asked for are closed with the message.
Result<void> UnixSocket::deliver_ancillary(UnixMessage& message, ReceiveRequest& request, bool peek) {
    if (!request.ancillary || message.files.empty()) return {};
    if (!peek) {
        request.ancillary->files = std::move(message.files);
        return {};
    }
    for (const Ref<fs::File>& file : message.files) TRY(request.ancillary->files.push_back(file));
    return {};
}

}  // namespace net
