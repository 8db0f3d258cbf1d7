// What the tests of net/ share: the stack started once on a fake card, sockets used from the one test thread, and
// allocations that can be made to fail.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "drivers/devices.h"
#include "net/inet_address.h"
#include "net/lwip_memory.h"
#include "net/socket.h"
#include "net/stack.h"
#include "net/unix/name.h"

namespace test {

// A card whose other end is the test: it sees what is sent and says what arrives.
class FakeDevice final : public drivers::NetworkDevice {
  public:
    drivers::MacAddress mac() const override { return {{2, 0, 0, 0, 0, 1}}; }
    uint16_t mtu() const override { return 1500; }
    bool transmit_checksum_offload() const override { return offload; }
    Result<void> transmit(std::span<const std::span<const std::byte>> pieces, Checksum checksum) override;
    void set_receiver(Receiver receiver, void* context) override {
        receiver_ = receiver;
        context_ = context;
    }
    void deliver(const std::string& frame, bool checksum_good = false) {
        receiver_(context_, std::as_bytes(std::span(frame.data(), frame.size())), checksum_good);
    }

    std::vector<std::string> sent;
    std::vector<Checksum> checksums;
    bool offload = false;
    bool ring_full = false;

  private:
    Receiver receiver_ = nullptr;
    void* context_ = nullptr;
};

// Starts the stack on first use: 10.0.2.15/24, gateway 10.0.2.2, fec0::15/64.
FakeDevice& device();

// Who calls (net/caller.h).
extern net::PeerCredentials caller;
extern bool caller_is_privileged;

// The n-th allocation from now fails; 0: none.
void fail_allocation(unsigned n);

Ref<net::Socket> make_socket(int family, int type, int protocol = 0, uint32_t flags = fs::kONonBlock);
net::SocketAddress ipv4(const char* address, uint16_t port);
net::SocketAddress ipv6(const char* address, uint16_t port);
net::SocketAddress abstract_name(std::string_view name);
uint16_t port_of(const net::SocketAddress& address);
std::string text_of(const net::SocketAddress& address);

// The value, or -errno.
int64_t send(net::Socket& socket, std::string_view data, int flags = 0, const net::SocketAddress* to = nullptr,
             net::Ancillary* ancillary = nullptr);
struct Received {
    int64_t result = 0;
    std::string data;
    net::SocketAddress from;
    int flags = 0;
};
Received receive(net::Socket& socket, size_t size = 4096, int flags = 0, net::Ancillary* ancillary = nullptr);
int set_int(net::Socket& socket, int level, int name, int value);
int get_int(net::Socket& socket, int level, int name);

template <typename T>
int code(const Result<T>& result) { return result ? 0 : static_cast<int>(result.error()); }

struct TcpPair { Ref<net::Socket> client, server; };
// A connection over loopback, both ends non-blocking.
TcpPair connected_pair();
Ref<net::Socket> listener(uint16_t* port, int backlog = 16);

}  // namespace test
