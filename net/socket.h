// What all sockets have in common (socket(7)): addresses, messages, options.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "core/vector.h"
#include "fs/file.h"
#include "net/caller.h"

namespace net {

inline constexpr int kAfUnspec = 0, kAfUnix = 1, kAfInet = 2, kAfInet6 = 10, kAfNetlink = 16, kAfPacket = 17;
inline constexpr int kSockStream = 1, kSockDgram = 2, kSockRaw = 3, kSockSeqpacket = 5;
inline constexpr int kMsgOob = 1, kMsgPeek = 2, kMsgDontRoute = 4, kMsgCtrunc = 8, kMsgTrunc = 0x20,
    kMsgDontWait = 0x40, kMsgEor = 0x80, kMsgWaitAll = 0x100, kMsgConfirm = 0x800, kMsgErrQueue = 0x2000,
    kMsgNoSignal = 0x4000, kMsgMore = 0x8000, kMsgWaitForOne = 0x10000, kMsgCmsgCloExec = 0x40000000;
inline constexpr int kShutRead = 0, kShutWrite = 1, kShutBoth = 2;
inline constexpr int kSolSocket = 1, kSolIp = 0, kSolTcp = 6, kSolUdp = 17, kSolIpv6 = 41;
inline constexpr int kSoDebug = 1, kSoReuseAddr = 2, kSoType = 3, kSoError = 4, kSoDontRoute = 5, kSoBroadcast = 6,
    kSoSndBuf = 7, kSoRcvBuf = 8, kSoKeepAlive = 9, kSoOobInline = 10, kSoPriority = 12, kSoLinger = 13,
    kSoReusePort = 15, kSoPassCred = 16, kSoPeerCred = 17, kSoRcvLowat = 18, kSoSndLowat = 19, kSoRcvTimeo = 20,
    kSoSndTimeo = 21, kSoBindToDevice = 25, kSoPeerName = 28, kSoTimestamp = 29, kSoAcceptConn = 30,
    kSoSndBufForce = 32, kSoRcvBufForce = 33, kSoProtocol = 38, kSoDomain = 39, kSoIncomingCpu = 49,
    kSoPeerGroups = 59;

// A struct sockaddr of any family, as a program gave it or will get it.
struct SocketAddress {
    static constexpr size_t kCapacity = 128;  // sizeof(struct sockaddr_storage)
    alignas(8) std::byte bytes[kCapacity] = {};
    uint32_t size = 0;

    int family() const {
        uint16_t value = 0;
        if (size >= sizeof(value)) std::memcpy(&value, bytes, sizeof(value));
        return value;
    }
};

// Where a datagram came in (IP_PKTINFO, IPV6_PKTINFO).
struct PacketInfo {
    int family = 0;  // 0: none
    uint32_t interface = 0;
    std::byte address[16] = {};
};

// What travels beside the data (cmsg(3)).
struct Ancillary {
    core::Vector<Ref<fs::File>> files;  // SCM_RIGHTS
    bool has_credentials = false;       // SCM_CREDENTIALS
    PeerCredentials credentials;
    PacketInfo packet_info;
    bool has_timestamp = false;         // SCM_TIMESTAMP, realtime
    uint64_t timestamp_ns = 0;
};

struct SendRequest {
    fs::Source& data;
    int flags = 0;
    const SocketAddress* to = nullptr;
    Ancillary* ancillary = nullptr;  // files are moved out of it when they were sent
};
struct ReceiveRequest {
    fs::Destination& data;
    int flags = 0;
    SocketAddress* from = nullptr;    // size 0 after the call: no address
    Ancillary* ancillary = nullptr;   // null: control data is dropped
    int result_flags = 0;             // MSG_TRUNC, MSG_EOR of the message
};

// The SOL_SOCKET options that are kept for every kind of socket.
struct CommonOptions {
    bool reuse_address = false, reuse_port = false, keep_alive = false, broadcast = false, pass_credentials = false,
         timestamp = false, oob_inline = false, dont_route = false, linger = false;
    int linger_seconds = 0, priority = 0, receive_low_water = 1;
    // As set, doubled, as Linux reports it.
    int send_buffer = 212992, receive_buffer = 212992;
    Nanoseconds receive_timeout = 0, send_timeout = 0;  // 0: none
};

class Socket : public fs::File {
  public:
    // `flags`: O_NONBLOCK or 0; sockets are always open for reading and writing.
    Socket(int family, int type, int protocol, uint32_t flags);

    static const char kKind[];
    const char* kind() const override { return kKind; }

    // bind(2), connect(2), listen(2), accept(2), getsockname(2), getpeername(2), shutdown(2), with their errnos.
    // A failed call leaves the socket as it was, except connect(2) as its page says. accept() gives O_NONBLOCK of
    // `flags` to the new socket.
    virtual Result<void> bind(const SocketAddress& address) = 0;
    virtual Result<void> connect(const SocketAddress& address) = 0;
    virtual Result<void> listen(int backlog) { (void)backlog; return fail(Errno::kOpNotSupp); }
    virtual Result<Ref<Socket>> accept(uint32_t flags) { (void)flags; return fail(Errno::kOpNotSupp); }
    virtual Result<SocketAddress> local_address() = 0;
    virtual Result<SocketAddress> peer_address() = 0;
    virtual Result<void> shutdown(int how) = 0;

    // send(2), recv(2) and relatives.
    virtual Result<size_t> send(SendRequest& request) = 0;
    // The same, and SIGPIPE to the caller if the other end of a stream is gone (unless MSG_NOSIGNAL).
    Result<size_t> send_or_signal(SendRequest& request);
    virtual Result<size_t> receive(ReceiveRequest& request) = 0;

    // setsockopt(2): `value` in kernel memory. getsockopt(2): fills at most `value`, returns how much; only
    // SO_PEERGROUPS fails with ERANGE for short buffers.
    virtual Result<void> set_option(int level, int name, std::span<const std::byte> value);
    virtual Result<size_t> get_option(int level, int name, std::span<std::byte> value);

    int family() const { return family_; }
    int type() const { return type_; }
    int protocol() const { return protocol_; }
    uint64_t inode_number() const { return inode_number_; }

    // fs::File
    Result<size_t> read(fs::Destination& destination, uint64_t* offset) override;
    Result<size_t> write(fs::Source& source, uint64_t* offset) override;
    Result<uint64_t> ioctl(uint32_t command, uint64_t argument) override;
    fs::Attributes attributes() override;
    Result<core::String> description() override;

  protected:
    // Told after a SOL_SOCKET option changed; called without locks.
    virtual void common_option_changed(int name) { (void)name; }
    // SO_ERROR: fetches and clears. SO_ACCEPTCONN. FIONREAD and TIOCOUTQ.
    virtual Errno take_error() { return Errno{}; }
    virtual bool listening() { return false; }
    virtual Result<size_t> readable_bytes() { return fail(Errno::kInval); }
    virtual Result<size_t> unsent_bytes() { return fail(Errno::kInval); }

    Nanoseconds receive_deadline() const { return deadline(options_.receive_timeout); }
    Nanoseconds send_deadline() const { return deadline(options_.send_timeout); }
    // May this call wait at all.
    bool may_wait(int flags) const { return !non_blocking() && !(flags & kMsgDontWait); }
    // What an interrupted wait returns: with a timeout set it is not restarted (signal(7)).
    static Errno interrupted(Nanoseconds timeout) { return timeout ? Errno::kIntr : Errno::kRestartSys; }

    CommonOptions options_;

  private:
    static Nanoseconds deadline(Nanoseconds timeout);
    int family_, type_, protocol_;
    uint64_t inode_number_;
};

// Helpers for options: an int from `value` (EINVAL if it is shorter), and an int into `value`.
Result<int> option_int(std::span<const std::byte> value);
size_t put_option(std::span<std::byte> value, const void* data, size_t size);
inline size_t put_option(std::span<std::byte> value, int data) { return put_option(value, &data, sizeof(data)); }

// socket(2): makes a socket of any supported family. EAFNOSUPPORT, EPROTONOSUPPORT, ESOCKTNOSUPPORT, EPERM, ENOMEM.
Result<Ref<Socket>> create_socket(int family, int type, int protocol, uint32_t flags);
// socketpair(2): AF_UNIX only, EOPNOTSUPP for the others.
struct SocketPair { Ref<Socket> first, second; };
Result<SocketPair> create_socket_pair(int family, int type, int protocol, uint32_t flags);

}  // namespace net
