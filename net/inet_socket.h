// What TCP and UDP sockets share: local address, ports, options of IP.
#pragma once

#include "core/intrusive.h"
#include "net/inet_address.h"
#include "net/socket.h"

namespace net {

class InetSocket : public Socket {
  public:
    InetSocket(int family, int type, int protocol, uint32_t flags)
        : Socket(family, type, protocol, flags), local_{wildcard(family, false), 0} {}

    Result<void> bind(const SocketAddress& address) override;
    Result<SocketAddress> local_address() override;
    Result<void> set_option(int level, int name, std::span<const std::byte> value) override;
    Result<size_t> get_option(int level, int name, std::span<std::byte> value) override;

    // For net/ports.cpp. All guarded by the stack.
    core::TreeHook port_hook;
    bool has_port() const { return local_.port != 0; }
    uint16_t port() const { return local_.port; }
    const ip_addr_t& bound_address() const { return local_.address; }
    bool reuses_address() const { return options_.reuse_address; }
    bool reuses_port() const { return options_.reuse_port; }
    uint32_t owner() const { return owner_; }
    bool is_listening() const { return listening_; }

  protected:
    // Gives the socket a free port if it has none. EADDRINUSE. Caller holds the stack.
    Result<void> ensure_port();
    void release_port();
    // The state of the connection forbids bind(2). Caller holds the stack.
    virtual bool bind_allowed() const = 0;
    // The local address has changed. Caller holds the stack. On an error the binding is undone.
    virtual Result<void> bound();
    // IP_TOS, IP_TTL and such have changed. Caller holds the stack.
    virtual void ip_options_changed() {}

    Endpoint local_;
    uint32_t owner_ = 0;  // user id that bound it (SO_REUSEPORT)
    bool listening_ = false;
    bool v6_only_ = false;
    bool packet_info_ = false;  // IP_PKTINFO or IPV6_RECVPKTINFO
    bool free_bind_ = false;
    uint8_t type_of_service_ = 0;
    uint8_t time_to_live_ = 64;
};

}  // namespace net
