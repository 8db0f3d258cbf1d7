#include "net/unix/endpoint.h"

#include "fs/poll.h"
#include "net/unix/cycles.h"

namespace net {

namespace {
constexpr uint32_t kAllEvents = fs::kPollIn | fs::kPollRdNorm | fs::kPollOut | fs::kPollWrNorm | fs::kPollHup |
                                fs::kPollRdHup | fs::kPollErr;
}

core::Spinlock& UnixEndpoint::starved_lock() {
    static constinit core::Spinlock lock{core::Rank::kPipe};  // innermost of this room
    return lock;
}

UnixEndpoint::~UnixEndpoint() {
    forget_carrier(*this);
    dispose(messages);
    if (UnixEndpoint* other = peer.load(std::memory_order_relaxed)) other->unref();
}

Ref<UnixEndpoint> UnixEndpoint::peer_ref() {
    core::SpinGuard guard(lock);
    return Ref<UnixEndpoint>(peer.load(std::memory_order_relaxed));
}

Ref<UnixEndpoint> UnixEndpoint::exchange_peer(Ref<UnixEndpoint> other) {
    core::SpinGuard guard(lock);
    return Ref<UnixEndpoint>::adopt(peer.exchange(other.release(), std::memory_order_acq_rel));
}

void UnixEndpoint::push_locked(UnixMessage& message) {
    messages.push_back(message);
    message_count++;
    queued_bytes += message.size;
    changed.wake_all(fs::kPollIn | fs::kPollRdNorm);
}

void UnixEndpoint::made_room_locked() {
    space.wake_all();
    if (writer_starved && type != kSockDgram) {
        writer_starved = false;
        if (UnixEndpoint* other = peer.load(std::memory_order_relaxed)) {
            other->changed.wake_all(fs::kPollOut | fs::kPollWrNorm);
        }
    }
    if (type == kSockDgram && writer_starved) {
        writer_starved = false;
        core::SpinGuard guard(starved_lock());
        while (!starved.empty()) {
            UnixEndpoint& sender = starved.front();
            starved.pop_front();
            sender.changed.wake_all(fs::kPollOut | fs::kPollWrNorm);
        }
    }
}

void UnixEndpoint::close() {
    {
        core::SpinGuard guard(starved_lock());
        starved_hook.unlink();
        while (!starved.empty()) {
            UnixEndpoint& sender = starved.front();
            starved.pop_front();
            sender.changed.wake_all(fs::kPollOut | fs::kPollWrNorm);
        }
    }
    UnixMessageList unread;
    core::List<UnixEndpoint, &UnixEndpoint::accept_hook> unaccepted;
    Ref<UnixName> own_name;
    Ref<UnixEndpoint> other;
    {
        core::SpinGuard guard(lock);
        unread.splice(unread.end(), messages);
        unaccepted.splice(unaccepted.end(), accept_queue);
        message_count = 0;
        queued_bytes = 0;
        own_name = name;
        bool names_itself = own_name && own_name->owner == this;
        if (!names_itself) own_name = nullptr;
        state = State::kClosed;
        receive_shut = send_shut = true;
        other = Ref<UnixEndpoint>::adopt(peer.exchange(nullptr, std::memory_order_acq_rel));
        space.wake_all();
        changed.wake_all(kAllEvents);
    }
    if (own_name) retire_unix_name(*own_name);
    if (other && type != kSockDgram) {
        core::SpinGuard guard(other->lock);
        other->receive_shut = other->send_shut = true;
        // What was not read is lost: the other end shall know (unix(7); Linux: ECONNRESET).
        if (!unread.empty()) other->error = Errno::kConnReset;
        other->space.wake_all();
        other->changed.wake_all(kAllEvents);
    }
    while (!unaccepted.empty()) {
        UnixEndpoint& pending = unaccepted.front();
        unaccepted.pop_front();
        // Nobody will ever answer: its client gets ECONNRESET.
        if (auto client = pending.peer_ref()) {
            core::SpinGuard guard(client->lock);
            client->error = Errno::kConnReset;
        }
        pending.close();
        pending.unref();
    }
    dispose(unread);
}

}  // namespace net
