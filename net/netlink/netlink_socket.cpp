#include "net/netlink/netlink_socket.h"

#include <algorithm>
#include <atomic>

#include "net/netlink/route.h"

namespace net {

namespace {

struct NetlinkAddress {  // struct sockaddr_nl
    uint16_t family = kAfNetlink, padding = 0;
    uint32_t port = 0, groups = 0;
};
static_assert(sizeof(NetlinkAddress) == 12);

constexpr size_t kMaxRequest = 8192;

Result<NetlinkAddress> decode(const SocketAddress& address) {
    NetlinkAddress result;
    if (address.size < sizeof result || address.family() != kAfNetlink) return fail(Errno::kInval);
    std::memcpy(&result, address.bytes, sizeof result);
    return result;
}

SocketAddress encode(const NetlinkAddress& address) {
    SocketAddress result;
    std::memcpy(result.bytes, &address, sizeof address);
    result.size = sizeof address;
    return result;
}

void destroy(NetlinkQueue& queue) {
    while (!queue.empty()) {
        NetlinkDatagram& datagram = queue.front();
        queue.pop_front();
        delete &datagram;
    }
}

}  // namespace

NetlinkSocket::~NetlinkSocket() { destroy(queue_); }

// As Linux: the first socket of a process takes its number, others one that no process has.
void NetlinkSocket::ensure_port_locked() {
    static std::atomic<uint32_t> next{0xffff'f000};
    static std::atomic<int32_t> last_process{0};
    if (port_) return;
    int32_t process = current_credentials().pid;
    if (last_process.exchange(process) != process) port_ = static_cast<uint32_t>(process);
    else port_ = next.fetch_sub(1, std::memory_order_relaxed);
}

Result<void> NetlinkSocket::bind(const SocketAddress& address) {
    NetlinkAddress wanted = TRY(decode(address));
    core::SpinGuard guard(lock_);
    if (port_ && wanted.port != port_) return fail(Errno::kInval);
    if (wanted.port) port_ = wanted.port;
    ensure_port_locked();
    groups_ = wanted.groups;
    return {};
}

// Only the kernel is there to talk to.
Result<void> NetlinkSocket::connect(const SocketAddress& address) {
    if (address.size >= sizeof(uint16_t) && address.family() == kAfUnspec) return {};
    NetlinkAddress wanted = TRY(decode(address));
    if ((wanted.groups || wanted.port) && !current_is_privileged()) return fail(Errno::kPerm);
    core::SpinGuard guard(lock_);
    ensure_port_locked();
    return {};
}

Result<SocketAddress> NetlinkSocket::local_address() {
    core::SpinGuard guard(lock_);
    return encode({.port = port_, .groups = groups_});
}

Result<SocketAddress> NetlinkSocket::peer_address() { return encode({}); }

Result<void> NetlinkSocket::shutdown(int) { return fail(Errno::kOpNotSupp); }

Result<size_t> NetlinkSocket::send(SendRequest& request) {
    if (request.flags & kMsgOob) return fail(Errno::kOpNotSupp);
    if (request.to) {
        NetlinkAddress to = TRY(decode(*request.to));
        if ((to.groups || to.port) && !current_is_privileged()) return fail(Errno::kPerm);
        if (to.port) return fail(Errno::kConnRefused);
    }
    size_t size = request.data.remaining();
    if (size == 0) return fail(Errno::kNoData);
    if (size > kMaxRequest) return fail(Errno::kMsgSize);
    core::Vector<std::byte> bytes;
    TRY(bytes.resize(size));
    TRY(request.data.take(bytes.data(), size));
    uint32_t port;
    {
        core::SpinGuard guard(lock_);
        ensure_port_locked();
        port = port_;
    }
    NetlinkQueue answers;
    auto answered = answer_route_requests({bytes.data(), size}, port, answers);
    if (!answered) {
        destroy(answers);
        return fail(answered.error());
    }
    core::SpinGuard guard(lock_);
    queue_.splice(queue_.end(), answers);
    bool any = !queue_.empty();
    guard.unlock();
    if (any) changed_.wake_all(fs::kPollIn | fs::kPollRdNorm);
    return size;
}

Result<size_t> NetlinkSocket::receive(ReceiveRequest& request) {
    if (request.flags & kMsgOob) return fail(Errno::kOpNotSupp);
    const Nanoseconds deadline = receive_deadline();
    core::SpinGuard guard(lock_);
    while (queue_.empty()) {
        if (!may_wait(request.flags)) return fail(Errno::kAgain);
        switch (changed_.wait(guard, lock_, deadline, sched::Interruptible::kYes)) {
        case sched::Wake::kWoken: break;
        case sched::Wake::kTimeout: return fail(Errno::kAgain);
        case sched::Wake::kInterrupted:
            if (queue_.empty()) return fail(interrupted(options_.receive_timeout));
        }
    }
    NetlinkDatagram& datagram = queue_.front();
    size_t size = datagram.bytes.size(), copied = std::min(size, request.data.remaining());
    auto put = copied ? request.data.put(datagram.bytes.data(), copied) : Result<void>();
    if (!(request.flags & kMsgPeek)) {
        queue_.pop_front();
        guard.unlock();
        delete &datagram;
    }
    TRY(put);
    if (copied < size) request.result_flags |= kMsgTrunc;
    if (request.from) *request.from = encode({});
    return request.flags & kMsgTrunc ? size : copied;
}

uint32_t NetlinkSocket::poll(fs::PollRegistrar* registrar) {
    if (registrar) registrar->watch(changed_);
    core::SpinGuard guard(lock_);
    uint32_t events = fs::kPollOut | fs::kPollWrNorm;
    if (!queue_.empty()) events |= fs::kPollIn | fs::kPollRdNorm;
    return events;
}

}  // namespace net
