#include <algorithm>

#include "net/unix/cycles.h"
#include "net/unix/unix_socket.h"

namespace net {

namespace {

constexpr int kMaxBacklog = 4096;  // net.core.somaxconn

SocketAddress unnamed() {
    SocketAddress address;
    uint16_t family = kAfUnix;
    std::memcpy(address.bytes, &family, sizeof(family));
    address.size = sizeof(family);
    return address;
}

void join(UnixEndpoint& a, UnixEndpoint& b) {
    a.ref();
    b.ref();
    a.peer.store(&b, std::memory_order_release);
    b.peer.store(&a, std::memory_order_release);
}

}  // namespace

UnixSocket::Table& UnixSocket::table() {
    static Table table;
    return table;
}

UnixSocket::UnixSocket(int type, uint32_t flags, Ref<UnixEndpoint> endpoint)
    : Socket(kAfUnix, type, 0, flags), endpoint_(std::move(endpoint)) {
    core::SpinGuard guard(table().lock);
    table().sockets.push_back(*this);
}

UnixSocket::~UnixSocket() {
    {
        core::SpinGuard guard(table().lock);
        table_hook_.unlink();
    }
    endpoint_->close();
    collect_unix_cycles();
}

Result<Ref<UnixSocket>> UnixSocket::create(int type, uint32_t flags) {
    auto endpoint = TRY(core::make_ref<UnixEndpoint>(type));
    return core::make_ref<UnixSocket>(type, flags, std::move(endpoint));
}

Result<SocketPair> UnixSocket::create_pair(int type, uint32_t flags) {
    auto first = TRY(create(type, flags));
    auto second = TRY(create(type, flags));
    UnixEndpoint &a = first->endpoint(), &b = second->endpoint();
    a.peer_credentials = b.peer_credentials = current_credentials();
    a.state = b.state = UnixEndpoint::State::kConnected;
    join(a, b);
    return SocketPair{std::move(first), std::move(second)};
}

Result<void> UnixSocket::bind(const SocketAddress& address) {
    UnixAddress parsed = TRY(parse_unix_address(address));
    {
        core::SpinGuard guard(endpoint_->lock);
        if (endpoint_->name) return parsed.automatic ? Result<void>{} : fail(Errno::kInval);
    }
    auto name = TRY(bind_unix_name(address, *endpoint_));
    core::SpinGuard guard(endpoint_->lock);
    if (endpoint_->name) {  // another thread was faster
        guard.unlock();
        retire_unix_name(*name);
        return fail(Errno::kInval);
    }
    endpoint_->name = std::move(name);
    return {};
}

Result<void> UnixSocket::listen(int backlog) {
    if (type() == kSockDgram) return fail(Errno::kOpNotSupp);
    core::SpinGuard guard(endpoint_->lock);
    if (!endpoint_->name) return fail(Errno::kInval);
    if (endpoint_->state != UnixEndpoint::State::kIdle && endpoint_->state != UnixEndpoint::State::kListening) {
        return fail(Errno::kInval);
    }
    int limit = backlog < 0 || backlog > kMaxBacklog ? kMaxBacklog : backlog;
    if (limit > endpoint_->backlog) endpoint_->space.wake_all();
    endpoint_->backlog = limit;
    endpoint_->state = UnixEndpoint::State::kListening;
    endpoint_->peer_credentials = current_credentials();  // what clients see
    return {};
}

Errno UnixSocket::wait_failure(sched::Wake wake, Nanoseconds timeout) const {
    return wake == sched::Wake::kTimeout ? Errno::kAgain : interrupted(timeout);
}

Result<void> UnixSocket::connect(const SocketAddress& address) {
    return type() == kSockDgram ? connect_datagram(address) : connect_stream(address);
}

Result<void> UnixSocket::connect_stream(const SocketAddress& address) {
    TRY(parse_unix_address(address));
    const Nanoseconds deadline = send_deadline();
    // The server's end, which accept(2) will hand out.
    auto server = TRY(core::make_ref<UnixEndpoint>(type()));
    for (;;) {
        auto listener = TRY(find_unix_endpoint(address));
        core::SpinGuard guard(listener->lock);
        if (listener->state != UnixEndpoint::State::kListening || listener->receive_shut) {
            return fail(Errno::kConnRefused);
        }
        if (listener->type != type()) return fail(Errno::kPrototype);
        if (listener->accept_count > listener->backlog) {
            if (!may_wait(0)) return fail(Errno::kAgain);
            auto wake = listener->space.wait(guard, listener->lock, deadline, sched::Interruptible::kYes);
            if (wake != sched::Wake::kWoken) return fail(wait_failure(wake, options_.send_timeout));
            continue;  // the listener may have closed meanwhile: look it up again
        }
        UnixEndpoint& own = *endpoint_;
        if (&own == listener.get()) return fail(Errno::kInval);
        core::SpinGuard own_guard(own.lock, core::SpinGuard::Nested{});
        if (own.state == UnixEndpoint::State::kConnected) return fail(Errno::kIsConn);
        if (own.state != UnixEndpoint::State::kIdle) return fail(Errno::kInval);
        server->state = own.state = UnixEndpoint::State::kConnected;
        server->name = listener->name;
        server->peer_credentials = current_credentials();
        own.peer_credentials = listener->peer_credentials;
        join(own, *server);
        listener->accept_queue.push_back(*server.release());
        listener->accept_count++;
        listener->changed.wake_one(fs::kPollIn | fs::kPollRdNorm);
        own.changed.wake_all(fs::kPollOut | fs::kPollWrNorm);
        return {};
    }
}

Result<void> UnixSocket::connect_datagram(const SocketAddress& address) {
    Ref<UnixEndpoint> peer;
    if (address.family() != kAfUnspec || address.size < sizeof(uint16_t)) {
        peer = TRY(find_unix_endpoint(address));
        if (peer->type != kSockDgram) return fail(Errno::kPrototype);
        auto theirs = peer->peer_ref();
        if (theirs && theirs.get() != endpoint_.get()) return fail(Errno::kPerm);
    }
    {
        core::SpinGuard guard(UnixEndpoint::starved_lock());
        endpoint_->starved_hook.unlink();
    }
    bool connected = static_cast<bool>(peer);
    (void)endpoint_->exchange_peer(std::move(peer));
    core::SpinGuard guard(endpoint_->lock);
    endpoint_->state = connected ? UnixEndpoint::State::kConnected : UnixEndpoint::State::kIdle;
    return {};
}

Result<Ref<Socket>> UnixSocket::accept(uint32_t flags) {
    if (type() == kSockDgram) return fail(Errno::kOpNotSupp);
    UnixEndpoint& own = *endpoint_;
    // Made first, so that a connection is never taken from the queue in vain.
    const Nanoseconds deadline = receive_deadline();
    Ref<UnixEndpoint> accepted;
    {
        core::SpinGuard guard(own.lock);
        for (;;) {
            if (own.state != UnixEndpoint::State::kListening || own.receive_shut) return fail(Errno::kInval);
            if (!own.accept_queue.empty()) break;
            if (!may_wait(0)) return fail(Errno::kAgain);
            auto wake = own.changed.wait(guard, own.lock, deadline, sched::Interruptible::kYes, true);
            if (wake != sched::Wake::kWoken) return fail(wait_failure(wake, options_.receive_timeout));
        }
        accepted = Ref<UnixEndpoint>::adopt(&own.accept_queue.front());
        own.accept_queue.pop_front();
        own.accept_count--;
        own.space.wake_all();
    }
    auto socket = core::make_ref<UnixSocket>(type(), flags, accepted);
    if (!socket) {
        accepted->close();
        return fail(socket.error());
    }
    (*socket)->options_.pass_credentials = options_.pass_credentials;
    return Ref<Socket>(*socket);
}

Result<SocketAddress> UnixSocket::local_address() {
    core::SpinGuard guard(endpoint_->lock);
    return endpoint_->name ? endpoint_->name->address : unnamed();
}

Result<SocketAddress> UnixSocket::peer_address() {
    auto peer = endpoint_->peer_ref();
    if (!peer) return fail(Errno::kNotConn);
    core::SpinGuard guard(peer->lock);
    return peer->name ? peer->name->address : unnamed();
}

Result<void> UnixSocket::shutdown(int how) {
    bool read = how != kShutWrite, write = how != kShutRead;
    Ref<UnixEndpoint> peer;
    {
        core::SpinGuard guard(endpoint_->lock);
        if (read) endpoint_->receive_shut = true;
        if (write) endpoint_->send_shut = true;
        peer = Ref<UnixEndpoint>(endpoint_->peer.load(std::memory_order_relaxed));
        endpoint_->space.wake_all();
        endpoint_->changed.wake_all(fs::kPollIn | fs::kPollOut | fs::kPollHup | fs::kPollRdHup);
    }
    if (peer && type() != kSockDgram) {
        core::SpinGuard guard(peer->lock);
        if (read) peer->send_shut = true;
        if (write) peer->receive_shut = true;
        peer->space.wake_all();
        peer->changed.wake_all(fs::kPollIn | fs::kPollOut | fs::kPollHup | fs::kPollRdHup);
    }
    return {};
}

Result<size_t> UnixSocket::get_option(int level, int name, std::span<std::byte> value) {
    if (level == kSolSocket && name == kSoPeerCred) {
        core::SpinGuard guard(endpoint_->lock);
        PeerCredentials peer = endpoint_->peer_credentials;
        bool known = endpoint_->state == UnixEndpoint::State::kConnected ||
                     endpoint_->state == UnixEndpoint::State::kListening;
        if (!known || !peer.pid) peer = {0, ~0u, ~0u};
        return put_option(value, &peer, sizeof(peer));
    }
    return Socket::get_option(level, name, value);
}

Errno UnixSocket::take_error() {
    core::SpinGuard guard(endpoint_->lock);
    return std::exchange(endpoint_->error, Errno{});
}

bool UnixSocket::listening() {
    core::SpinGuard guard(endpoint_->lock);
    return endpoint_->state == UnixEndpoint::State::kListening;
}

Result<size_t> UnixSocket::readable_bytes() {
    core::SpinGuard guard(endpoint_->lock);
    if (endpoint_->state == UnixEndpoint::State::kListening) return fail(Errno::kInval);
    if (type() == kSockDgram) return endpoint_->messages.empty() ? 0 : endpoint_->messages.front().size;
    return endpoint_->queued_bytes;
}

Result<size_t> UnixSocket::unsent_bytes() {
    auto peer = endpoint_->peer_ref();
    if (!peer) return 0;
    core::SpinGuard guard(peer->lock);
    return peer->queued_bytes;
}

// After unix_poll() and unix_dgram_poll() of Linux.
uint32_t UnixSocket::poll(fs::PollRegistrar* registrar) {
    UnixEndpoint& own = *endpoint_;
    if (registrar) registrar->watch(own.changed);
    uint32_t events = 0;
    bool may_send;
    Ref<UnixEndpoint> peer;
    {
        core::SpinGuard guard(own.lock);
        if (own.error != Errno{}) events |= fs::kPollErr;
        if (own.receive_shut && own.send_shut) events |= fs::kPollHup;
        if (own.receive_shut) events |= fs::kPollIn | fs::kPollRdNorm | fs::kPollRdHup;
        if (!own.messages.empty() || !own.accept_queue.empty()) events |= fs::kPollIn | fs::kPollRdNorm;
        if (type() != kSockDgram && own.state == UnixEndpoint::State::kIdle) events |= fs::kPollHup;
        may_send = own.state != UnixEndpoint::State::kListening;
        peer = Ref<UnixEndpoint>(own.peer.load(std::memory_order_relaxed));
    }
    if (!may_send) return events;
    if (peer) {
        core::SpinGuard guard(peer->lock);
        bool full;
        if (type() == kSockDgram) {
            full = peer->state != UnixEndpoint::State::kClosed && datagram_queue_full(*peer, own, send_limit());
            if (full) {
                core::SpinGuard starved(UnixEndpoint::starved_lock());
                if (!own.starved_hook.is_linked()) peer->starved.push_back(own);
            }
        } else {
            full = peer->queued_bytes * 4 > send_limit();
        }
        if (full) {
            peer->writer_starved = true;
            return events;
        }
    }
    return events | fs::kPollOut | fs::kPollWrNorm;
}

}  // namespace net
