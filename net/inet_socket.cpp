#include "net/inet_socket.h"

#include "net/interface.h"
#include "net/ports.h"
#include "net/stack_lock.h"

namespace net {

namespace {

constexpr uint16_t kFirstUnprivilegedPort = 1024;
// ip(7), ipv6(7)
constexpr int kIpTos = 1, kIpTtl = 2, kIpPktInfo = 8, kIpMtuDiscover = 10, kIpRecvErr = 11, kIpFreeBind = 15,
    kIpMulticastTtl = 33, kIpMulticastLoop = 34, kIpBindAddressNoPort = 24;
constexpr int kIpv6UnicastHops = 16, kIpv6MtuDiscover = 23, kIpv6RecvErr = 25, kIpv6V6Only = 26,
    kIpv6RecvPktInfo = 49, kIpv6TClass = 67;

}  // namespace

Result<void> InetSocket::bind(const SocketAddress& address) {
    Endpoint endpoint = TRY(decode_address(address, family(), v6_only_));
    bool privileged = current_is_privileged();
    uint32_t owner = current_credentials().uid;
    StackLock lock;
    if (!is_local(endpoint.address) && !free_bind_) return fail(Errno::kAddrNotAvail);
    if (endpoint.port && endpoint.port < kFirstUnprivilegedPort && !privileged) return fail(Errno::kAcces);
    if (has_port() || !bind_allowed()) return fail(Errno::kInval);
    owner_ = owner;
    if (endpoint.port) TRY(check_port(*this, endpoint));
    else endpoint.port = TRY(pick_port(*this, endpoint.address));
    Endpoint before = local_;
    local_ = endpoint;
    claim_port(*this);
    auto result = bound();
    if (!result) {
        unclaim_port(*this);
        local_ = before;
    }
    return result;
}

Result<void> InetSocket::bound() { return {}; }

Result<void> InetSocket::ensure_port() {
    if (has_port()) return {};
    local_.port = TRY(pick_port(*this, local_.address));
    claim_port(*this);
    return {};
}

void InetSocket::release_port() {
    unclaim_port(*this);
    local_ = {wildcard(family(), v6_only_), 0};
}

Result<SocketAddress> InetSocket::local_address() {
    StackLock lock;
    return encode_address(local_, family());
}

Result<void> InetSocket::set_option(int level, int name, std::span<const std::byte> value) {
    if (level == kSolIpv6 && family() != kAfInet6) return fail(Errno::kNoProtoOpt);
    if (level != kSolIp && level != kSolIpv6) return Socket::set_option(level, name, value);
    int number;
    if (level == kSolIp && value.size() >= 1 && value.size() < sizeof(int)) {
        number = static_cast<uint8_t>(value[0]);  // ip(7): these may be given as one byte
    } else {
        number = TRY(option_int(value));
    }
    StackLock lock;
    if (level == kSolIp) {
        switch (name) {
        case kIpTos: type_of_service_ = static_cast<uint8_t>(number); break;
        case kIpTtl:
            if (number != -1 && (number < 1 || number > 255)) return fail(Errno::kInval);
            time_to_live_ = number == -1 ? 64 : static_cast<uint8_t>(number);
            break;
        case kIpPktInfo: packet_info_ = number != 0; break;
        case kIpFreeBind: free_bind_ = number != 0; break;
        // lwIP sets no "don't fragment", learns no path MTU, and queues no errors: only the values that say so.
        case kIpMtuDiscover:
            if (number < 0 || number > 5) return fail(Errno::kInval);
            if (number != 0 && number != 1) return fail(Errno::kNoProtoOpt);
            break;
        case kIpRecvErr:
            if (number) return fail(Errno::kNoProtoOpt);
            break;
        default: return fail(Errno::kNoProtoOpt);
        }
    } else {
        switch (name) {
        case kIpv6V6Only:
            if (has_port()) return fail(Errno::kInval);
            v6_only_ = number != 0;
            local_.address = wildcard(family(), v6_only_);
            break;
        case kIpv6UnicastHops:
            if (number < -1 || number > 255) return fail(Errno::kInval);
            time_to_live_ = number == -1 ? 64 : static_cast<uint8_t>(number);
            break;
        case kIpv6RecvPktInfo: packet_info_ = number != 0; break;
        case kIpv6TClass:
            if (number < -1 || number > 255) return fail(Errno::kInval);
            type_of_service_ = number == -1 ? 0 : static_cast<uint8_t>(number);
            break;
        case kIpv6MtuDiscover: case kIpv6RecvErr:
            if (number) return fail(Errno::kNoProtoOpt);
            break;
        default: return fail(Errno::kNoProtoOpt);
        }
    }
    ip_options_changed();
    return {};
}

Result<size_t> InetSocket::get_option(int level, int name, std::span<std::byte> value) {
    if (level == kSolIpv6 && family() != kAfInet6) return fail(Errno::kNoProtoOpt);
    if (level != kSolIp && level != kSolIpv6) return Socket::get_option(level, name, value);
    StackLock lock;
    if (level == kSolIp) {
        switch (name) {
        case kIpTos: return put_option(value, type_of_service_);
        case kIpTtl: return put_option(value, time_to_live_);
        case kIpPktInfo: return put_option(value, packet_info_);
        case kIpFreeBind: return put_option(value, free_bind_);
        case kIpMtuDiscover: case kIpRecvErr: return put_option(value, 0);
        }
        return fail(Errno::kNoProtoOpt);
    }
    switch (name) {
    case kIpv6V6Only: return put_option(value, v6_only_);
    case kIpv6UnicastHops: return put_option(value, time_to_live_);
    case kIpv6RecvPktInfo: return put_option(value, packet_info_);
    case kIpv6TClass: return put_option(value, type_of_service_);
    case kIpv6MtuDiscover: case kIpv6RecvErr: return put_option(value, 0);
    }
    return fail(Errno::kNoProtoOpt);
}

}  // namespace net
