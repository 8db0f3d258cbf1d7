// The socket calls (socket(2) and relatives): arguments to and from programs. The sockets themselves: net/.
#include <algorithm>

#include "arch/x86_64/user_copy.h"
#include "libc-compat/families.h"
#include "libc-compat/socket_messages.h"

// What net/ asks of the programs (net/caller.h).
namespace net {

PeerCredentials current_credentials() {
    process::Thread& thread = process::current_thread();
    return {thread.process->pid, thread.credentials->euid, thread.credentials->egid};
}

fs::LookupRequest current_lookup() {
    process::Thread& thread = process::current_thread();
    fs::LookupRequest request;
    request.context = thread.fs_context.get();
    request.identity = thread.credentials->identity();
    return request;
}

bool current_is_privileged() { return process::current_thread().credentials->euid == 0; }

uint64_t current_descriptor_limit() { return process::current_process().limits[process::kLimitNoFile].soft; }

}  // namespace net

namespace abi {

namespace {

using net::Socket;
using net::SocketAddress;

constexpr int kTypeMask = 0xf, kSockNonBlock = 04000, kSockCloExec = 02000000;
constexpr size_t kMaxOption = 64;

struct TypeAndFlags { int type; uint32_t file_flags; fs::CloseOnExec close_on_exec; };

Result<TypeAndFlags> split_type(int type) {
    if (type & ~(kTypeMask | kSockNonBlock | kSockCloExec)) return fail(Errno::kInval);
    return TypeAndFlags{type & kTypeMask, type & kSockNonBlock ? fs::kONonBlock : 0,
                        type & kSockCloExec ? fs::CloseOnExec::kYes : fs::CloseOnExec::kNo};
}

Result<int> install(Context& context, Ref<Socket> socket, fs::CloseOnExec close_on_exec) {
    return context.files().install(std::move(socket), close_on_exec, context.limit(process::kLimitNoFile));
}

Result<int> sys_socket(Context& context, int family, int type, int protocol) {
    auto split = TRY(split_type(type));
    return install(context, TRY(net::create_socket(family, split.type, protocol, split.file_flags)),
                   split.close_on_exec);
}

Result<void> sys_socketpair(Context& context, int family, int type, int protocol, UserOut<int> pair) {
    auto split = TRY(split_type(type));
    auto sockets = TRY(net::create_socket_pair(family, split.type, protocol, split.file_flags));
    int fds[2];
    fds[0] = TRY(install(context, std::move(sockets.first), split.close_on_exec));
    auto second = install(context, std::move(sockets.second), split.close_on_exec);
    if (!second) {
        (void)context.files().close(fds[0]);
        return fail(second.error());
    }
    fds[1] = *second;
    auto copied = arch::copy_out(pair.address(), fds, sizeof(fds));
    if (!copied) {
        (void)context.files().close(fds[0]);
        (void)context.files().close(fds[1]);
    }
    return copied;
}

Result<void> sys_bind(Context& context, int fd, UserIn<std::byte> address, int size) {
    auto socket = TRY(socket_of(context, fd));
    return socket->bind(TRY(copy_address_in(address, size)));
}

Result<void> sys_listen(Context& context, int fd, int backlog) {
    return TRY(socket_of(context, fd))->listen(backlog);
}

Result<int> sys_accept4(Context& context, int fd, UserOut<std::byte> address, UserOut<int32_t> length, int flags) {
    if (flags & ~(kSockNonBlock | kSockCloExec)) return fail(Errno::kInval);
    auto socket = TRY(socket_of(context, fd));
    auto accepted = TRY(socket->accept(flags & kSockNonBlock ? fs::kONonBlock : 0));
    if (!address.is_null()) {
        auto peer = accepted->peer_address();
        if (!peer) return fail(Errno::kConnAborted);  // reset before it was accepted
        TRY(copy_address_out(*peer, address, length));
    }
    return install(context, std::move(accepted), flags & kSockCloExec ? fs::CloseOnExec::kYes : fs::CloseOnExec::kNo);
}

Result<int> sys_accept(Context& context, int fd, UserOut<std::byte> address, UserOut<int32_t> length) {
    return sys_accept4(context, fd, address, length, 0);
}

Result<void> sys_connect(Context& context, int fd, UserIn<std::byte> address, int size) {
    auto socket = TRY(socket_of(context, fd));
    return socket->connect(TRY(copy_address_in(address, size)));
}

Result<void> sys_getsockname(Context& context, int fd, UserOut<std::byte> address, UserOut<int32_t> length) {
    auto socket = TRY(socket_of(context, fd));
    return copy_address_out(TRY(socket->local_address()), address, length);
}

Result<void> sys_getpeername(Context& context, int fd, UserOut<std::byte> address, UserOut<int32_t> length) {
    auto socket = TRY(socket_of(context, fd));
    return copy_address_out(TRY(socket->peer_address()), address, length);
}

Result<size_t> sys_sendto(Context& context, int fd, UserIn<std::byte> buffer, size_t size, uint32_t flags,
                          UserIn<std::byte> address, int address_size) {
    fs::IoSegment part{buffer.address().value(), std::min<size_t>(size, 0x7ffff000)};
    auto file = TRY(context.use_file(fd));
    net::Socket* socket = TRY(socket_behind(*file));
    SocketAddress to;
    if (!address.is_null()) to = TRY(copy_address_in(address, address_size));
    auto source = fs::Source::user({&part, 1});
    net::SendRequest request{source, static_cast<int>(flags), address.is_null() ? nullptr : &to, nullptr};
    return send_on(*socket, request);
}

Result<size_t> sys_recvfrom(Context& context, int fd, UserOut<std::byte> buffer, size_t size, uint32_t flags,
                            UserOut<std::byte> address, UserOut<int32_t> length) {
    fs::IoSegment part{buffer.address().value(), std::min<size_t>(size, 0x7ffff000)};
    auto file = TRY(context.use_file(fd));
    net::Socket* socket = TRY(socket_behind(*file));
    auto destination = fs::Destination::user({&part, 1});
    SocketAddress from;
    net::ReceiveRequest request{destination, static_cast<int>(flags), address.is_null() ? nullptr : &from, nullptr};
    size_t received = TRY(socket->receive(request));
    if (!address.is_null()) TRY(copy_address_out(from, address, length));
    return received;
}

Result<void> sys_shutdown(Context& context, int fd, int how) {
    auto socket = TRY(socket_of(context, fd));
    if (how < net::kShutRead || how > net::kShutBoth) return fail(Errno::kInval);
    return socket->shutdown(how);
}

Result<void> sys_setsockopt(Context& context, int fd, int level, int name, UserIn<std::byte> value, int size) {
    if (size < 0) return fail(Errno::kInval);
    auto socket = TRY(socket_of(context, fd));
    std::byte buffer[kMaxOption];
    size_t used = std::min<size_t>(static_cast<size_t>(size), sizeof(buffer));
    if (used) TRY(arch::copy_in(buffer, value.address(), used));
    return socket->set_option(level, name, {buffer, used});
}

Result<void> sys_getsockopt(Context& context, int fd, int level, int name, UserOut<std::byte> value,
                            UserOut<int32_t> length) {
    auto socket = TRY(socket_of(context, fd));
    int32_t room = TRY(arch::copy_in(UserIn<int32_t>(length)));
    if (room < 0) return fail(Errno::kInval);
    std::byte buffer[512];
    size_t size = TRY(socket->get_option(level, name, {buffer, std::min<size_t>(static_cast<size_t>(room), sizeof(buffer))}));
    if (size) TRY(arch::copy_out(value.address(), buffer, size));
    return arch::copy_out(length, static_cast<int32_t>(size));
}

}  // namespace

Result<Ref<Socket>> socket_of(Context& context, int fd) {
    Ref<fs::File> file = TRY(context.file(fd));
    if (file->kind() != Socket::kKind) return fail(Errno::kNotSock);
    return Ref<Socket>::adopt(static_cast<Socket*>(file.release()));
}

Result<SocketAddress> copy_address_in(UserIn<std::byte> source, int size) {
    if (size < 0 || static_cast<size_t>(size) > SocketAddress::kCapacity) return fail(Errno::kInval);
    SocketAddress address;
    address.size = static_cast<uint32_t>(size);
    if (size) TRY(arch::copy_in(address.bytes, source.address(), address.size));
    return address;
}

Result<void> copy_address_out(const SocketAddress& address, UserOut<std::byte> target, UserOut<int32_t> length) {
    int32_t room = TRY(arch::copy_in(UserIn<int32_t>(length)));
    if (room < 0) return fail(Errno::kInval);
    size_t size = std::min<size_t>(static_cast<size_t>(room), address.size);
    if (size) TRY(arch::copy_out(target.address(), address.bytes, size));
    return arch::copy_out(length, static_cast<int32_t>(address.size));
}

Result<size_t> send_on(Socket& socket, net::SendRequest& request) { return socket.send_or_signal(request); }

namespace {
constexpr SystemCall kSocketCalls[] = {
    CALL(41, socket, "domain, type, protocol", "AF_UNIX, AF_INET, AF_INET6 (TCP and UDP); AF_NETLINK to read links, addresses and routes; no raw sockets (EPERM)"),
    CALL(42, connect, "sockfd, addr, addrlen"),
    CALL(43, accept, "sockfd, addr, addrlen"),
    CALL(44, sendto, "sockfd, buf, len, flags, dest_addr, addrlen", "no urgent data (MSG_OOB: EOPNOTSUPP)"),
    CALL(45, recvfrom, "sockfd, buf, len, flags, src_addr, addrlen"),
    CALL(46, sendmsg, "sockfd, msg, flags", "control messages: SCM_RIGHTS, SCM_CREDENTIALS"),
    CALL(47, recvmsg, "sockfd, msg, flags"),
    CALL(48, shutdown, "sockfd, how"),
    CALL(49, bind, "sockfd, addr, addrlen"),
    CALL(50, listen, "sockfd, backlog"),
    CALL(51, getsockname, "sockfd, addr, addrlen"),
    CALL(52, getpeername, "sockfd, addr, addrlen"),
    CALL(53, socketpair, "domain, type, protocol, sv"),
    CALL(54, setsockopt, "sockfd, level, optname, optval, optlen"),
    CALL(55, getsockopt, "sockfd, level, optname, optval, optlen"),
    CALL(288, accept4, "sockfd, addr, addrlen, flags"),
    CALL(299, recvmmsg, "sockfd, msgvec, vlen, flags, timeout"),
    CALL(307, sendmmsg, "sockfd, msgvec, vlen, flags"),
};
}  // namespace

const SystemCallFamily kSocketFamily{"Sockets", kSocketCalls};

}  // namespace abi
