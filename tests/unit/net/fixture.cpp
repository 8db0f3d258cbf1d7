#include "fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "core/random.h"
#include "mm/frames.h"
#include "sched_host.h"

namespace net {

PeerCredentials current_credentials() { return test::caller; }
fs::LookupRequest current_lookup() { return {}; }
bool current_is_privileged() { return test::caller_is_privileged; }
uint64_t current_descriptor_limit() { return 1024; }

}  // namespace net

namespace test {

net::PeerCredentials caller{100, 0, 0};
bool caller_is_privileged = true;

void fail_allocation(unsigned n) { mm::inject_allocation_failure(n); }

Result<void> FakeDevice::transmit(std::span<const std::span<const std::byte>> pieces, Checksum checksum) {
    if (ring_full) return fail(Errno::kAgain);
    std::string frame;
    for (auto piece : pieces) frame.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    sent.push_back(std::move(frame));
    checksums.push_back(checksum);
    return {};
}

FakeDevice& device() {
    static FakeDevice* device = [] {
        std::byte seed[32]{};
        core::seed_random(seed);
        auto* device = new FakeDevice;
        net::Configuration configuration;
        configuration.address = inet_addr("10.0.2.15");
        configuration.netmask = inet_addr("255.255.255.0");
        configuration.gateway = inet_addr("10.0.2.2");
        inet_pton(AF_INET6, "fec0::15", configuration.address6);
        configuration.prefix6 = 64;
        EXPECT_TRUE(net::initialize(device, configuration));
        return device;
    }();
    return *device;
}

Ref<net::Socket> make_socket(int family, int type, int protocol, uint32_t flags) {
    device();
    auto socket = net::create_socket(family, type, protocol, flags);
    EXPECT_TRUE(socket.has_value()) << "errno " << code(socket);
    return socket ? *socket : Ref<net::Socket>();
}

net::SocketAddress ipv4(const char* address, uint16_t port) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    inet_pton(AF_INET, address, &in.sin_addr);
    net::SocketAddress result;
    std::memcpy(result.bytes, &in, sizeof(in));
    result.size = sizeof(in);
    return result;
}

net::SocketAddress ipv6(const char* address, uint16_t port) {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(port);
    inet_pton(AF_INET6, address, &in.sin6_addr);
    net::SocketAddress result;
    std::memcpy(result.bytes, &in, sizeof(in));
    result.size = sizeof(in);
    return result;
}

net::SocketAddress abstract_name(std::string_view name) {
    net::SocketAddress result;
    uint16_t family = net::kAfUnix;
    std::memcpy(result.bytes, &family, 2);
    std::memcpy(result.bytes + 3, name.data(), name.size());
    result.size = static_cast<uint32_t>(3 + name.size());
    return result;
}

uint16_t port_of(const net::SocketAddress& address) {
    uint16_t port;
    std::memcpy(&port, address.bytes + 2, 2);
    return ntohs(port);
}

std::string text_of(const net::SocketAddress& address) {
    char text[INET6_ADDRSTRLEN] = "";
    bool v4 = address.family() == AF_INET;
    inet_ntop(address.family(), address.bytes + (v4 ? 4 : 8), text, sizeof(text));
    return text;
}

int64_t send(net::Socket& socket, std::string_view data, int flags, const net::SocketAddress* to,
             net::Ancillary* ancillary) {
    fs::IoSegment part{reinterpret_cast<uint64_t>(data.data()), data.size()};
    auto source = fs::Source::kernel({&part, 1});
    net::SendRequest request{source, flags, to, ancillary};
    auto sent = socket.send(request);
    return sent ? static_cast<int64_t>(*sent) : -code(sent);
}

Received receive(net::Socket& socket, size_t size, int flags, net::Ancillary* ancillary) {
    Received result;
    result.data.resize(size);
    fs::IoSegment part{reinterpret_cast<uint64_t>(result.data.data()), size};
    auto destination = fs::Destination::kernel({&part, 1});
    net::ReceiveRequest request{destination, flags, &result.from, ancillary};
    auto received = socket.receive(request);
    result.result = received ? static_cast<int64_t>(*received) : -code(received);
    result.flags = request.result_flags;
    result.data.resize(destination.done());
    return result;
}

int set_int(net::Socket& socket, int level, int name, int value) {
    return code(socket.set_option(level, name, std::as_bytes(std::span(&value, 1))));
}

int get_int(net::Socket& socket, int level, int name) {
    int value = -1;
    auto result = socket.get_option(level, name, std::as_writable_bytes(std::span(&value, 1)));
    return result ? value : -code(result);
}

Ref<net::Socket> listener(uint16_t* port, int backlog) {
    auto socket = make_socket(net::kAfInet, net::kSockStream);
    EXPECT_EQ(code(socket->bind(ipv4("127.0.0.1", *port))), 0);
    EXPECT_EQ(code(socket->listen(backlog)), 0);
    *port = port_of(*socket->local_address());
    return socket;
}

TcpPair connected_pair() {
    uint16_t port = 0;
    auto server = listener(&port);
    TcpPair pair;
    pair.client = make_socket(net::kAfInet, net::kSockStream);
    EXPECT_EQ(code(pair.client->connect(ipv4("127.0.0.1", port))), EINPROGRESS);
    auto accepted = server->accept(fs::kONonBlock);
    EXPECT_TRUE(accepted.has_value());
    pair.server = *accepted;
    EXPECT_EQ(code(pair.client->connect(ipv4("127.0.0.1", port))), 0);
    return pair;
}

}  // namespace test
