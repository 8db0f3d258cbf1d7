#include "net/socket.h"

#include <atomic>

#include "arch/x86_64/user_copy.h"
#include "core/log.h"
#include "fs/process_host.h"
#include "net/interface_ioctl.h"
#include "sched/timer.h"

namespace net {

namespace {

std::atomic<uint64_t> next_inode_number{1};

// struct timeval of SO_RCVTIMEO (64-bit).
struct TimeValue { int64_t seconds, microseconds; };
struct Linger { int on, seconds; };

constexpr int kMaxBuffer = 212992;  // net.core.wmem_max, rmem_max
constexpr int kMinSendBuffer = 4608, kMinReceiveBuffer = 2304;

int buffer_size(int wanted, int minimum) {
    int64_t size = 2 * static_cast<int64_t>(wanted < 0 || wanted > kMaxBuffer ? kMaxBuffer : wanted);
    return static_cast<int>(size < minimum ? minimum : size);
}

Result<Nanoseconds> option_timeout(std::span<const std::byte> value) {
    TimeValue time;
    if (value.size() < sizeof(time)) return fail(Errno::kInval);
    std::memcpy(&time, value.data(), sizeof(time));
    if (time.microseconds < 0 || time.microseconds >= 1'000'000) return fail(Errno::kDom);
    if (time.seconds < 0) return 1;  // Linux: times out at once
    if (time.seconds > 9'000'000'000) return 0;
    return static_cast<Nanoseconds>(time.seconds) * 1'000'000'000 +
           static_cast<Nanoseconds>(time.microseconds) * 1000;
}

size_t put_timeout(std::span<std::byte> value, Nanoseconds timeout) {
    TimeValue time{static_cast<int64_t>(timeout / 1'000'000'000), static_cast<int64_t>(timeout / 1000 % 1'000'000)};
    return put_option(value, &time, sizeof(time));
}

}  // namespace

const char Socket::kKind[] = "socket";

Socket::Socket(int family, int type, int protocol, uint32_t flags)
    : File((flags & fs::kONonBlock) | fs::kORdWr), family_(family), type_(type), protocol_(protocol),
      inode_number_(next_inode_number.fetch_add(1, std::memory_order_relaxed)) {}

Result<int> option_int(std::span<const std::byte> value) {
    int number;
    if (value.size() < sizeof(number)) return fail(Errno::kInval);
    std::memcpy(&number, value.data(), sizeof(number));
    return number;
}

size_t put_option(std::span<std::byte> value, const void* data, size_t size) {
    size_t copied = size < value.size() ? size : value.size();
    if (copied) std::memcpy(value.data(), data, copied);
    return copied;
}

Nanoseconds Socket::deadline(Nanoseconds timeout) {
    return timeout ? sched::monotonic_ns() + timeout : core::kNever;
}

Result<size_t> Socket::read(fs::Destination& destination, uint64_t*) {
    ReceiveRequest request{destination};
    return receive(request);
}

Result<size_t> Socket::write(fs::Source& source, uint64_t*) {
    SendRequest request{source};
    return send_or_signal(request);
}

Result<size_t> Socket::send_or_signal(SendRequest& request) {
    constexpr int kSigPipe = 13;
    auto sent = send(request);
    if (!sent && sent.error() == Errno::kPipe && type_ != kSockDgram && !(request.flags & kMsgNoSignal)) {
        fs::process_host().signal_caller(kSigPipe);
    }
    return sent;
}

Result<uint64_t> Socket::ioctl(uint32_t command, uint64_t argument) {
    constexpr uint32_t kFioNRead = 0x541b, kTiocOutQ = 0x5411;
    if (command == kFioNRead || command == kTiocOutQ) {
        int count = static_cast<int>(TRY(command == kFioNRead ? readable_bytes() : unsent_bytes()));
        TRY(arch::copy_out(UserOut<int>(argument), count));
        return 0;
    }
    return interface_ioctl(command, argument);
}

fs::Attributes Socket::attributes() {
    fs::Attributes attributes;
    attributes.inode_number = inode_number_;
    attributes.type = fs::FileType::kSocket;
    attributes.permissions = 0777;
    return attributes;
}

Result<core::String> Socket::description() {
    char buffer[40];
    return core::String::create(klog::format(buffer, sizeof(buffer), "socket:[{}]", inode_number_));
}

Result<void> Socket::set_option(int level, int name, std::span<const std::byte> value) {
    if (level != kSolSocket) return fail(family_ == kAfUnix ? Errno::kOpNotSupp : Errno::kNoProtoOpt);
    switch (name) {
    case kSoLinger: {
        Linger linger;
        if (value.size() < sizeof(linger)) return fail(Errno::kInval);
        std::memcpy(&linger, value.data(), sizeof(linger));
        options_.linger = linger.on != 0;
        if (linger.on) options_.linger_seconds = linger.seconds;
        common_option_changed(name);
        return {};
    }
    case kSoRcvTimeo: options_.receive_timeout = TRY(option_timeout(value)); return {};
    case kSoSndTimeo: options_.send_timeout = TRY(option_timeout(value)); return {};
    case kSoBindToDevice:  // no socket is bound to one
        if (value.empty() || value[0] == std::byte{0}) return {};
        return fail(Errno::kNoProtoOpt);
    case kSoType: case kSoProtocol: case kSoDomain: case kSoError: case kSoAcceptConn: case kSoPeerCred:
    case kSoPeerName: case kSoPeerGroups: case kSoSndLowat:
        return fail(Errno::kNoProtoOpt);
    }
    int number = TRY(option_int(value));
    bool on = number != 0;
    switch (name) {
    case kSoReuseAddr: options_.reuse_address = on; break;
    case kSoReusePort: options_.reuse_port = on; break;
    case kSoKeepAlive: options_.keep_alive = on; break;
    case kSoBroadcast: options_.broadcast = on; break;
    case kSoPassCred:
        if (family_ != kAfUnix) return fail(Errno::kOpNotSupp);
        options_.pass_credentials = on;
        break;
    case kSoTimestamp: options_.timestamp = on; break;
    case kSoOobInline: options_.oob_inline = on; break;
    case kSoDontRoute: options_.dont_route = on; break;
    case kSoPriority:
        if ((number < 0 || number > 6) && !current_is_privileged()) return fail(Errno::kPerm);
        options_.priority = number;
        break;
    case kSoRcvLowat: options_.receive_low_water = number < 0 ? INT32_MAX : number ? number : 1; break;
    case kSoSndBuf: options_.send_buffer = buffer_size(number, kMinSendBuffer); break;
    case kSoRcvBuf: options_.receive_buffer = buffer_size(number, kMinReceiveBuffer); break;
    case kSoSndBufForce: case kSoRcvBufForce:
        if (!current_is_privileged()) return fail(Errno::kPerm);
        if (name == kSoSndBufForce) options_.send_buffer = buffer_size(number, kMinSendBuffer);
        else options_.receive_buffer = buffer_size(number, kMinReceiveBuffer);
        break;
    default: return fail(Errno::kNoProtoOpt);
    }
    common_option_changed(name);
    return {};
}

Result<size_t> Socket::get_option(int level, int name, std::span<std::byte> value) {
    if (level != kSolSocket) return fail(family_ == kAfUnix ? Errno::kOpNotSupp : Errno::kNoProtoOpt);
    switch (name) {
    case kSoDebug: return put_option(value, 0);
    case kSoReuseAddr: return put_option(value, options_.reuse_address);
    case kSoReusePort: return put_option(value, options_.reuse_port);
    case kSoKeepAlive: return put_option(value, options_.keep_alive);
    case kSoBroadcast: return put_option(value, options_.broadcast);
    case kSoPassCred: return put_option(value, options_.pass_credentials);
    case kSoTimestamp: return put_option(value, options_.timestamp);
    case kSoOobInline: return put_option(value, options_.oob_inline);
    case kSoDontRoute: return put_option(value, options_.dont_route);
    case kSoPriority: return put_option(value, options_.priority);
    case kSoRcvLowat: return put_option(value, options_.receive_low_water);
    case kSoSndLowat: return put_option(value, 1);
    case kSoSndBuf: return put_option(value, options_.send_buffer);
    case kSoRcvBuf: return put_option(value, options_.receive_buffer);
    case kSoRcvTimeo: return put_timeout(value, options_.receive_timeout);
    case kSoSndTimeo: return put_timeout(value, options_.send_timeout);
    case kSoType: return put_option(value, type_);
    case kSoDomain: return put_option(value, family_);
    case kSoProtocol: return put_option(value, protocol_);
    case kSoError: return put_option(value, static_cast<int>(take_error()));
    case kSoAcceptConn: return put_option(value, listening());
    case kSoLinger: {
        Linger linger{options_.linger, options_.linger_seconds};
        return put_option(value, &linger, sizeof(linger));
    }
    case kSoBindToDevice: return 0;
    case kSoPeerName: {
        SocketAddress peer = TRY(peer_address());
        if (peer.size < value.size()) return put_option(value, peer.bytes, peer.size);
        return fail(Errno::kInval);
    }
    }
    return fail(Errno::kNoProtoOpt);
}

}  // namespace net
