// Frames from a scripted peer: what is answered, and that malformed ones harm nobody.
#include <random>

#include "fixture.h"
#include "net/lwip_headers.h"

using namespace test;

namespace {

const std::string kOurMac("\x02\0\0\0\0\x01", 6), kPeerMac("\x52\x55\x0a\0\x02\x02", 6);

std::string big16(unsigned value) { return {static_cast<char>(value >> 8), static_cast<char>(value)}; }
std::string big32(uint32_t value) { return big16(value >> 16) + big16(value & 0xffff); }

unsigned checksum(const std::string& data) {
    uint32_t sum = 0;
    for (size_t i = 0; i < data.size(); i += 2) {
        sum += static_cast<uint8_t>(data[i]) << 8 | (i + 1 < data.size() ? static_cast<uint8_t>(data[i + 1]) : 0);
    }
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return ~sum & 0xffff;
}

std::string arp_request() {
    std::string peer_ip("\x0a\0\x02\x02", 4), our_ip("\x0a\0\x02\x0f", 4);
    return std::string(6, '\xff') + kPeerMac + big16(0x806) + big16(1) + big16(0x800) + "\x06\x04" + big16(1) + kPeerMac +
           peer_ip + std::string(6, '\0') + our_ip;
}

// A TCP segment from 10.0.2.2 with right checksums.
std::string segment(uint16_t from, uint16_t to, uint32_t sequence, uint32_t acknowledged, uint8_t flags,
                    const std::string& data = "") {
    std::string addresses("\x0a\0\x02\x02\x0a\0\x02\x0f", 8);
    auto tcp = [&](unsigned sum) {
        return big16(from) + big16(to) + big32(sequence) + big32(acknowledged) + '\x50' + static_cast<char>(flags) +
               big16(0xffff) + big16(sum) + big16(0) + data;
    };
    std::string pseudo = addresses + big16(6) + big16(static_cast<unsigned>(20 + data.size()));
    std::string body = tcp(checksum(pseudo + tcp(0)));
    auto ip = [&](unsigned sum) {
        return big16(0x4500) + big16(static_cast<unsigned>(20 + body.size())) + big32(0) + big16(0x4006) + big16(sum) +
               addresses;
    };
    return kOurMac + kPeerMac + big16(0x800) + ip(checksum(ip(0))) + body;
}

uint32_t field32(const std::string& frame, size_t offset) {
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) value = value << 8 | static_cast<uint8_t>(frame[offset + i]);
    return value;
}

}  // namespace

TEST(Packets, ConnectionFromThePeer) {
    auto server = make_socket(net::kAfInet, net::kSockStream);
    ASSERT_EQ(code(server->bind(ipv4("0.0.0.0", 8080))), 0);
    ASSERT_EQ(code(server->listen(5)), 0);
    FakeDevice& card = device();
    card.deliver(arp_request());
    ASSERT_FALSE(card.sent.empty());
    EXPECT_EQ(card.sent.back().substr(12, 2), big16(0x806));
    card.deliver(segment(5000, 8080, 1000, 0, TCP_SYN));
    ASSERT_EQ(static_cast<uint8_t>(card.sent.back()[47]), TCP_SYN | TCP_ACK);
    uint32_t ours = field32(card.sent.back(), 38);
    card.deliver(segment(5000, 8080, 1001, ours + 1, TCP_ACK));
    std::string damaged = segment(5000, 8080, 1001, ours + 1, TCP_ACK | TCP_PSH, "bad");
    damaged.back() ^= 1;
    card.deliver(damaged);
    card.deliver(segment(5000, 8080, 1001, ours + 1, TCP_ACK | TCP_PSH, "request"));
    auto accepted = server->accept(fs::kONonBlock);
    ASSERT_TRUE(accepted.has_value());
    EXPECT_EQ(receive(**accepted).data, "request");
    EXPECT_EQ(text_of(*(*accepted)->peer_address()), "10.0.2.2");
    // An old segment is answered a few times, not for ever.
    size_t before = card.sent.size();
    for (int i = 0; i < 100; i++) card.deliver(segment(5000, 8080, 500, ours + 1, TCP_ACK | TCP_FIN));
    EXPECT_LE(card.sent.size() - before, 5u);
    card.deliver(segment(5000, 8080, 1008, ours + 1, TCP_RST | TCP_ACK));
    EXPECT_EQ(receive(**accepted).result, -static_cast<int>(Errno::kConnReset));
}

TEST(Packets, MalformedFramesAreDropped) {
    auto server = make_socket(net::kAfInet, net::kSockStream);
    ASSERT_EQ(code(server->bind(ipv4("0.0.0.0", 8081))), 0);
    ASSERT_EQ(code(server->listen(5)), 0);
    FakeDevice& card = device();
    std::mt19937 random(1);
    for (int i = 0; i < 20000; i++) {
        std::string frame = i % 3 ? segment(static_cast<uint16_t>(random()), 8081, random(), random(),
                                            static_cast<uint8_t>(random()), std::string(random() % 40, 'x'))
                                  : arp_request();
        for (unsigned changes = random() % 4; changes > 0; changes--) frame[random() % frame.size()] = static_cast<char>(random());
        if (random() % 4 == 0) frame.resize(random() % (frame.size() + 1));
        card.deliver(frame, random() % 2);
        card.sent.clear();
        while (server->accept(0)) {}
    }
}
