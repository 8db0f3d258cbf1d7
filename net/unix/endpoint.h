// One end of AF_UNIX communication: the queue of what arrives, and who is at the other end. It outlives its socket
// (the open file) as long as others still name it as their peer.
//
// Locks: `lock` of one endpoint at a time, with one exception: connect() holds the listener's and then that of the
// connecting endpoint, which is not listening, so no circle can arise. `starved_lock` is taken inside.
#pragma once

#include <atomic>

#include "core/intrusive.h"
#include "core/lock.h"
#include "net/socket.h"
#include "net/unix/message.h"
#include "sched/wait_queue.h"

namespace net {

class UnixEndpoint final : public core::RefCounted {
  public:
    enum class State : uint8_t { kIdle, kListening, kConnected, kClosed };

    explicit UnixEndpoint(int type) : type(type) {}
    ~UnixEndpoint() override;

    const int type;
    core::Spinlock lock{core::Rank::kSocket};

    // Guarded by `lock`, unless said otherwise.
    State state = State::kIdle;
    bool receive_shut = false;  // no more will arrive, or nobody wants it
    bool send_shut = false;
    Errno error{};              // SO_ERROR
    Ref<UnixName> name;
    PeerCredentials peer_credentials;
    UnixMessageList messages;
    unsigned message_count = 0;
    size_t queued_bytes = 0;    // may be read without the lock, as a hint
    bool writer_starved = false;  // the peer's poll found no room in our queue

    // Listening: endpoints that wait for accept(2), each with a reference of the queue.
    core::ListHook accept_hook;
    core::List<UnixEndpoint, &UnixEndpoint::accept_hook> accept_queue;
    int accept_count = 0, backlog = 0;

    // All kinds of waiting on this end: for messages, connections, room at the peer.
    sched::WaitQueue changed;
    // Senders that wait for room in our queue (blocked in send or connect).
    sched::WaitQueue space;

    // The other end. Streams and seqpackets: set once, and constant until the socket is destroyed, so that its
    // own system calls may read it without lock. Datagrams: replaced by connect(2); use peer_ref().
    std::atomic<UnixEndpoint*> peer{nullptr};
    Ref<UnixEndpoint> peer_ref();
    // Makes `other` (may be null) the peer, with a reference; returns the old one's.
    Ref<UnixEndpoint> exchange_peer(Ref<UnixEndpoint> other);

    // The socket is destroyed: wakes and disconnects everybody. No lock held.
    void close();

    // Puts `message` at the end and tells readers. Caller holds `lock`.
    void push_locked(UnixMessage& message);
    // After the queue became shorter: tells senders. Caller holds `lock`.
    void made_room_locked();

    // Datagram senders whose poll found our queue full, told by made_room_locked(). Guarded by starved_lock().
    core::ListHook starved_hook;
    core::List<UnixEndpoint, &UnixEndpoint::starved_hook> starved;
    static core::Spinlock& starved_lock();

    // For net/unix/cycles.cpp, guarded by its lock. Nodes are sockets in flight while it looks for cycles.
    core::ListHook carrier_hook, node_hook;
    bool ever_carrier = false, marked = false;
    uint32_t found = 0;
    fs::File* in_flight_file = nullptr;
};

}  // namespace net
