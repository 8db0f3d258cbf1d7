#include "libc-compat/socket_messages.h"

#include <algorithm>
#include <cstring>

#include "arch/x86_64/user_copy.h"
#include "sched/timer.h"

namespace abi {

namespace {

constexpr size_t kMaxParts = 1024;         // UIO_MAXIOV
constexpr size_t kInlineParts = 8;
constexpr size_t kMaxControl = 20480;      // net.core.optmem_max
constexpr size_t kMaxPassedFiles = 253;    // SCM_MAX_FD
constexpr uint64_t kMaxTransfer = 0x7ffff000;  // MAX_RW_COUNT
constexpr int kScmRights = 1, kScmCredentials = 2, kScmTimestamp = 29;
constexpr int kIpPktInfo = 8, kIpv6PktInfo = 50;

struct ControlHeader {  // struct cmsghdr
    uint64_t length;
    int32_t level, type;
};
constexpr size_t control_align(size_t size) { return (size + 7) & ~size_t{7}; }

// The parts of a message: few on the stack, many on the heap.
class Parts {
  public:
    Result<void> load(uint64_t address, uint64_t count) {
        if (count > kMaxParts) return fail(Errno::kMsgSize);
        if (count > kInlineParts) TRY(many_.resize(count));
        fs::IoSegment* target = count > kInlineParts ? many_.data() : few_;
        if (count) TRY(arch::copy_in(target, UserAddr(address), count * sizeof(fs::IoSegment)));
        uint64_t total = 0;
        for (size_t i = 0; i < count; i++) {
            if (static_cast<int64_t>(target[i].size) < 0) return fail(Errno::kInval);
            if (target[i].size > kMaxTransfer - total) target[i].size = kMaxTransfer - total;
            total += target[i].size;
        }
        parts_ = {target, count};
        return {};
    }
    std::span<const fs::IoSegment> get() const { return parts_; }

  private:
    fs::IoSegment few_[kInlineParts];
    core::Vector<fs::IoSegment> many_;
    std::span<const fs::IoSegment> parts_;
};

Result<void> take_rights(Context& context, std::span<const std::byte> data, net::Ancillary& ancillary) {
    size_t count = data.size() / sizeof(int);
    if (ancillary.files.size() + count > kMaxPassedFiles) return fail(Errno::kInval);
    for (size_t i = 0; i < count; i++) {
        int fd;
        std::memcpy(&fd, data.data() + i * sizeof(int), sizeof(int));
        TRY(ancillary.files.push_back(TRY(context.file(fd))));
    }
    return {};
}

Result<void> take_credentials(Context& context, std::span<const std::byte> data, net::Ancillary& ancillary) {
    net::PeerCredentials wanted;
    if (data.size() != sizeof(wanted)) return fail(Errno::kInval);
    std::memcpy(&wanted, data.data(), sizeof(wanted));
    const process::Credentials& own = context.credentials();
    // unix(7): without privilege only what is true.
    auto one_of = [](uint32_t id, uint32_t real, uint32_t effective, uint32_t saved) {
        return id == real || id == effective || id == saved;
    };
    bool privileged = own.euid == 0;
    if (!privileged && (wanted.pid != context.process().pid || !one_of(wanted.uid, own.uid, own.euid, own.suid) ||
                        !one_of(wanted.gid, own.gid, own.egid, own.sgid))) {
        return fail(Errno::kPerm);
    }
    ancillary.has_credentials = true;
    ancillary.credentials = wanted;
    return {};
}

// cmsg(3) of a message to be sent.
Result<void> parse_control(Context& context, const UserMessage& message, const net::Socket& socket,
                           net::Ancillary& ancillary) {
    if (message.control_length == 0) return {};
    if (message.control_length > kMaxControl) return fail(Errno::kNoBufs);
    core::Vector<std::byte> control;
    TRY(control.resize(message.control_length));
    TRY(arch::copy_in(control.data(), UserAddr(message.control), control.size()));
    size_t offset = 0;
    while (offset + sizeof(ControlHeader) <= control.size()) {
        ControlHeader header;
        std::memcpy(&header, control.data() + offset, sizeof(header));
        if (header.length < sizeof(header) || header.length > control.size() - offset) return fail(Errno::kInval);
        std::span<const std::byte> data(control.data() + offset + sizeof(header), header.length - sizeof(header));
        if (header.level == net::kSolSocket) {
            if (socket.family() != net::kAfUnix) return fail(Errno::kInval);
            if (header.type == kScmRights) TRY(take_rights(context, data, ancillary));
            else if (header.type == kScmCredentials) TRY(take_credentials(context, data, ancillary));
            else return fail(Errno::kInval);
        } else if (socket.family() != net::kAfUnix) {
            return fail(Errno::kInval);  // no IP options, no choice of interface per datagram
        }
        offset += control_align(header.length);
    }
    return {};
}

// Writes control messages into the program's buffer; what does not fit sets MSG_CTRUNC.
class ControlWriter {
  public:
    ControlWriter(uint64_t address, uint64_t room) : address_(address), room_(room) {}

    Result<void> put(int level, int type, const void* data, size_t size) {
        if (room_ - used_ < sizeof(ControlHeader) + size) {
            truncated_ = true;
            return {};
        }
        ControlHeader header{sizeof(ControlHeader) + size, level, type};
        TRY(arch::copy_out(UserAddr(address_ + used_), &header, sizeof(header)));
        TRY(arch::copy_out(UserAddr(address_ + used_ + sizeof(header)), data, size));
        finish(header.length);
        return {};
    }

    // SCM_RIGHTS: as many descriptors as fit and the table takes; the rest is closed.
    Result<void> put_files(Context& context, core::Vector<Ref<fs::File>>& files, bool close_on_exec) {
        size_t fit = room_ - used_ < sizeof(ControlHeader) ? 0 : (room_ - used_ - sizeof(ControlHeader)) / sizeof(int);
        size_t count = std::min(fit, files.size());
        size_t installed = 0;
        for (; installed < count; installed++) {
            auto mode = close_on_exec ? fs::CloseOnExec::kYes : fs::CloseOnExec::kNo;
            auto fd = context.files().install(files[installed], mode, context.limit(process::kLimitNoFile));
            if (!fd) break;
            UserAddr target(address_ + used_ + sizeof(ControlHeader) + installed * sizeof(int));
            if (auto copied = arch::copy_out(target, &*fd, sizeof(int)); !copied) {
                (void)context.files().close(*fd);
                break;
            }
        }
        if (installed < files.size()) truncated_ = true;
        if (installed == 0) return {};
        ControlHeader header{sizeof(ControlHeader) + installed * sizeof(int), net::kSolSocket, kScmRights};
        TRY(arch::copy_out(UserAddr(address_ + used_), &header, sizeof(header)));
        finish(header.length);
        return {};
    }

    uint64_t used() const { return used_; }
    bool truncated() const { return truncated_; }

  private:
    void finish(size_t length) { used_ = std::min<uint64_t>(used_ + control_align(length), room_); }
    uint64_t address_, room_, used_ = 0;
    bool truncated_ = false;
};

Result<void> write_control(Context& context, ControlWriter& writer, net::Ancillary& ancillary, uint32_t flags) {
    if (ancillary.has_timestamp) {
        int64_t time[2] = {static_cast<int64_t>(ancillary.timestamp_ns / 1'000'000'000),
                           static_cast<int64_t>(ancillary.timestamp_ns / 1000 % 1'000'000)};
        TRY(writer.put(net::kSolSocket, kScmTimestamp, time, sizeof(time)));
    }
    if (ancillary.packet_info.family == net::kAfInet) {
        struct { int32_t interface; std::byte specified[4], destination[4]; } info{};
        info.interface = static_cast<int32_t>(ancillary.packet_info.interface);
        std::memcpy(info.specified, ancillary.packet_info.address, 4);
        std::memcpy(info.destination, ancillary.packet_info.address, 4);
        TRY(writer.put(net::kSolIp, kIpPktInfo, &info, sizeof(info)));
    } else if (ancillary.packet_info.family == net::kAfInet6) {
        struct { std::byte address[16]; uint32_t interface; } info{};
        std::memcpy(info.address, ancillary.packet_info.address, 16);
        info.interface = ancillary.packet_info.interface;
        TRY(writer.put(net::kSolIpv6, kIpv6PktInfo, &info, sizeof(info)));
    }
    if (ancillary.has_credentials) {
        TRY(writer.put(net::kSolSocket, kScmCredentials, &ancillary.credentials, sizeof(ancillary.credentials)));
    }
    if (!ancillary.files.empty()) {
        TRY(writer.put_files(context, ancillary.files, flags & net::kMsgCmsgCloExec));
    }
    return {};
}

Result<size_t> send_message(Context& context, net::Socket& socket, const UserMessage& message, uint32_t flags) {
    Parts parts;
    TRY(parts.load(message.parts, message.part_count));
    net::SocketAddress to;
    bool named = message.name && message.name_length;
    if (named) {
        // sendmsg(2) cuts long names where sendto(2) refuses them.
        if (message.name_length < 0) return fail(Errno::kInval);
        to = TRY(copy_address_in(UserIn<std::byte>(message.name),
                                 std::min<int>(message.name_length, net::SocketAddress::kCapacity)));
    }
    net::Ancillary ancillary;
    TRY(parse_control(context, message, socket, ancillary));
    auto source = fs::Source::user(parts.get());
    net::SendRequest request{source, static_cast<int>(flags), named ? &to : nullptr, &ancillary};
    return send_on(socket, request);
}

// `header` is where the program's struct lies, for the results.
Result<size_t> receive_message(Context& context, net::Socket& socket, UserOut<UserMessage> header, uint32_t flags) {
    auto message = TRY(arch::copy_in(UserIn<UserMessage>(header.address().value())));
    if (message.name && message.name_length < 0) return fail(Errno::kInval);
    Parts parts;
    TRY(parts.load(message.parts, message.part_count));
    auto destination = fs::Destination::user(parts.get());
    net::SocketAddress from;
    net::Ancillary ancillary;
    net::ReceiveRequest request{destination, static_cast<int>(flags), message.name ? &from : nullptr, &ancillary};
    size_t received = TRY(socket.receive(request));

    if (message.name) {
        size_t size = std::min<size_t>(from.size, static_cast<size_t>(message.name_length));
        if (size) TRY(arch::copy_out(UserAddr(message.name), from.bytes, size));
    }
    ControlWriter writer(message.control, message.control ? message.control_length : 0);
    TRY(write_control(context, writer, ancillary, flags));
    message.name_length = static_cast<int32_t>(from.size);
    message.control_length = writer.used();
    message.flags = static_cast<uint32_t>(request.result_flags) | (writer.truncated() ? net::kMsgCtrunc : 0) |
                    (flags & net::kMsgCmsgCloExec);
    auto put = [&](size_t offset, const void* data, size_t size) {
        return arch::copy_out(header.address() + offset, data, size);
    };
    if (message.name) TRY(put(offsetof(UserMessage, name_length), &message.name_length, 4));
    TRY(put(offsetof(UserMessage, control_length), &message.control_length, 8));
    TRY(put(offsetof(UserMessage, flags), &message.flags, 4));
    return received;
}

}  // namespace

Result<size_t> sys_sendmsg(Context& context, int fd, UserIn<UserMessage> message, uint32_t flags) {
    auto file = TRY(context.use_file(fd));
    net::Socket* socket = TRY(socket_behind(*file));
    return send_message(context, *socket, TRY(arch::copy_in(message)), flags);
}

Result<size_t> sys_recvmsg(Context& context, int fd, UserOut<UserMessage> message, uint32_t flags) {
    auto file = TRY(context.use_file(fd));
    net::Socket* socket = TRY(socket_behind(*file));
    return receive_message(context, *socket, message, flags);
}

Result<size_t> sys_sendmmsg(Context& context, int fd, UserOut<UserMultiMessage> messages, uint32_t count,
                            uint32_t flags) {
    auto socket = TRY(socket_of(context, fd));
    count = std::min<uint32_t>(count, kMaxParts);
    size_t done = 0;
    for (; done < count; done++) {
        auto entry = messages + done;
        auto message = arch::copy_in(UserIn<UserMessage>(entry.address().value()));
        if (!message) return done ? Result<size_t>(done) : fail(message.error());
        auto sent = send_message(context, *socket, *message, flags);
        if (!sent) return done ? Result<size_t>(done) : fail(sent.error());
        auto length = static_cast<uint32_t>(*sent);
        UserAddr target = entry.address() + offsetof(UserMultiMessage, length);
        if (auto copied = arch::copy_out(target, &length, 4); !copied) {
            return done ? Result<size_t>(done) : fail(copied.error());
        }
    }
    return done;
}

Result<size_t> sys_recvmmsg(Context& context, int fd, UserOut<UserMultiMessage> messages, uint32_t count,
                            uint32_t flags, UserOut<fs::Timespec> timeout) {
    Nanoseconds deadline = core::kNever;
    if (!timeout.is_null()) {
        auto time = TRY(arch::copy_in(UserIn<fs::Timespec>(timeout)));
        if (time.seconds < 0 || time.nanoseconds < 0 || time.nanoseconds >= 1'000'000'000) return fail(Errno::kInval);
        if (time.seconds < 9'000'000'000) {
            deadline = sched::monotonic_ns() + static_cast<uint64_t>(time.seconds) * 1'000'000'000 +
                       static_cast<uint64_t>(time.nanoseconds);
        }
    }
    auto socket = TRY(socket_of(context, fd));
    uint32_t wait_for_one = flags & net::kMsgWaitForOne;
    flags &= ~static_cast<uint32_t>(net::kMsgWaitForOne);
    size_t done = 0;
    while (done < count) {
        auto entry = messages + done;
        auto received = receive_message(context, *socket, UserOut<UserMessage>(entry.address().value()), flags);
        if (!received) return done ? Result<size_t>(done) : fail(received.error());
        auto length = static_cast<uint32_t>(*received);
        UserAddr target = entry.address() + offsetof(UserMultiMessage, length);
        if (auto copied = arch::copy_out(target, &length, 4); !copied) {
            return done ? Result<size_t>(done) : fail(copied.error());
        }
        done++;
        if (wait_for_one) flags |= net::kMsgDontWait;
        // recvmmsg(2): the timeout is looked at after each datagram only.
        if (deadline != core::kNever && sched::monotonic_ns() >= deadline) break;
    }
    return done;
}

}  // namespace abi
