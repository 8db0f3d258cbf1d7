// sendmsg(2) and recvmsg(2): struct msghdr and control messages in the program's memory.
#pragma once

#include "libc-compat/syscall.h"
#include "net/socket.h"

namespace abi {

struct UserMessage {  // struct user_msghdr
    uint64_t name;
    int32_t name_length;
    uint32_t padding;
    uint64_t parts;
    uint64_t part_count;
    uint64_t control;
    uint64_t control_length;
    uint32_t flags;
    uint32_t padding2;
};
static_assert(sizeof(UserMessage) == 56);
struct UserMultiMessage {  // struct mmsghdr
    UserMessage message;
    uint32_t length;
    uint32_t padding;
};

// The socket behind a descriptor: EBADF, ENOTSOCK.
Result<Ref<net::Socket>> socket_of(Context& context, int fd);
inline Result<net::Socket*> socket_behind(fs::File& file) {
    if (file.kind() != net::Socket::kKind) return fail(Errno::kNotSock);
    return static_cast<net::Socket*>(&file);
}
// Addresses in and out of the program. copy_address_in: EINVAL for sizes beyond sockaddr_storage. copy_address_out:
// value-result length as getsockname(2) has it.
Result<net::SocketAddress> copy_address_in(UserIn<std::byte> address, int size);
Result<void> copy_address_out(const net::SocketAddress& address, UserOut<std::byte> target, UserOut<int32_t> length);
// The socket's send() with SIGPIPE where it is due.
Result<size_t> send_on(net::Socket& socket, net::SendRequest& request);

Result<size_t> sys_sendmsg(Context& context, int fd, UserIn<UserMessage> message, uint32_t flags);
Result<size_t> sys_recvmsg(Context& context, int fd, UserOut<UserMessage> message, uint32_t flags);
Result<size_t> sys_sendmmsg(Context& context, int fd, UserOut<UserMultiMessage> messages, uint32_t count, uint32_t flags);
Result<size_t> sys_recvmmsg(Context& context, int fd, UserOut<UserMultiMessage> messages, uint32_t count,
                            uint32_t flags, UserOut<fs::Timespec> timeout);

}  // namespace abi
