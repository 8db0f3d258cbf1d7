// socket(2) and socketpair(2): which kinds there are.
#include "net/netlink/netlink_socket.h"
#include "net/tcp_socket.h"
#include "net/udp_socket.h"
#include "net/unix/unix_socket.h"

namespace net {

namespace {

constexpr int kMaxFamily = 46, kMaxType = 10;  // AF_MAX, SOCK_MAX: beyond them the errno differs
constexpr int kSockRdm = 4, kSockPacket = 10;
constexpr int kProtocolIcmp = 1, kProtocolIcmp6 = 58, kProtocolMax = 263;

Result<int> unix_type(int type, int protocol) {
    if (protocol && protocol != kAfUnix) return fail(Errno::kProtoNoSupport);
    switch (type) {
    case kSockStream: case kSockDgram: case kSockSeqpacket: return type;
    case kSockRaw: return kSockDgram;  // as Linux: an alias
    default: return fail(Errno::kSockTNoSupport);
    }
}

Result<Ref<Socket>> create_inet(int family, int type, int protocol, uint32_t flags) {
    if (protocol < 0 || protocol >= kProtocolMax) return fail(Errno::kInval);
    switch (type) {
    case kSockStream:
        if (protocol && protocol != kSolTcp) return fail(Errno::kProtoNoSupport);
        return TRY(core::make_ref<TcpSocket>(family, flags));
    case kSockDgram: {
        // "Ping sockets" are closed to everybody by default (net.ipv4.ping_group_range).
        if (protocol == kProtocolIcmp || protocol == kProtocolIcmp6) return fail(Errno::kAcces);
        if (protocol && protocol != kSolUdp) return fail(Errno::kProtoNoSupport);
        auto socket = TRY(core::make_ref<UdpSocket>(family, flags));
        TRY(socket->initialize());
        return socket;
    }
    case kSockRaw: return fail(protocol ? Errno::kPerm : Errno::kProtoNoSupport);
    default: return fail(Errno::kSockTNoSupport);
    }
}

Result<Ref<Socket>> create_netlink(int type, int protocol, uint32_t flags) {
    constexpr int kMaxProtocol = 32, kRoute = 0;  // MAX_LINKS
    if (type != kSockRaw && type != kSockDgram) return fail(Errno::kSockTNoSupport);
    if (protocol < 0 || protocol >= kMaxProtocol || protocol != kRoute) return fail(Errno::kProtoNoSupport);
    return TRY(core::make_ref<NetlinkSocket>(type, flags));
}

Result<void> check_range(int family, int type) {
    if (family < 0 || family >= kMaxFamily) return fail(Errno::kAfNoSupport);
    if (type < 0 || type > kMaxType) return fail(Errno::kInval);
    return {};
}

}  // namespace

Result<Ref<Socket>> create_socket(int family, int type, int protocol, uint32_t flags) {
    TRY(check_range(family, type));
    switch (family) {
    case kAfUnix: return TRY(UnixSocket::create(TRY(unix_type(type, protocol)), flags));
    case kAfInet: case kAfInet6: return create_inet(family, type, protocol, flags);
    case kAfNetlink: return create_netlink(type, protocol, flags);
    case kAfPacket: return fail(Errno::kPerm);
    default: return fail(Errno::kAfNoSupport);
    }
}

Result<SocketPair> create_socket_pair(int family, int type, int protocol, uint32_t flags) {
    TRY(check_range(family, type));
    if (family == kAfUnix) return UnixSocket::create_pair(TRY(unix_type(type, protocol)), flags);
    (void)TRY(create_socket(family, type, protocol, flags));  // for its errors
    return fail(Errno::kOpNotSupp);
}

}  // namespace net
