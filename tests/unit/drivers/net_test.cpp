#include <gtest/gtest.h>

#include "allocation_failure.h"
#include "drivers/virtio/entropy.h"
#include "drivers/virtio/net.h"
#include "model_device.h"

namespace {

using namespace drivers;
using virtio::Network;

struct NetTest : testing::Test {
    model::ModelTransport* transport = nullptr;
    std::unique_ptr<Network> card;
    std::vector<std::string> sent;
    bool stalled = false;
    struct Frame {
        std::string data;
        bool good;
    };
    std::vector<Frame> received;

    void start(uint64_t features = 0b1'1000'0000'0010'1011) {
        auto owned = std::make_unique<model::ModelTransport>();
        transport = owned.get();
        transport->features |= features;
        transport->config = std::string("\x52\x54\x00\x12\x34\x56\x01\x00\x01\x00\xdc\x05", 12);
        transport->on_notify = [this](uint16_t queue) {
            if (queue == 1 && !stalled) take();
        };
        auto made = Network::create(std::move(owned));
        ASSERT_TRUE(made);
        card = std::move(*made);
        card->set_receiver([](void* self, std::span<const std::byte> frame, bool good) {
            static_cast<NetTest*>(self)->received.push_back(
                {std::string(reinterpret_cast<const char*>(frame.data()), frame.size()), good});
        }, this);
    }
    void take() {
        auto& ring = transport->rings[1];
        while (auto chain = ring.pop()) {
            sent.push_back(chain->text());
            ring.push(chain->head, 0);
        }
    }
    static std::string header(uint8_t flags, uint16_t buffers) {
        std::string text(12, '\0');
        text[0] = static_cast<char>(flags);
        std::memcpy(text.data() + 10, &buffers, 2);
        return text;
    }
    bool give(const std::string& data) {
        auto chain = transport->rings[0].pop();
        if (!chain) return false;
        transport->rings[0].push(chain->head, chain->fill(data));
        return true;
    }
};

TEST_F(NetTest, ConfigurationIsRead) {
    start();
    EXPECT_EQ(card->mac().bytes[5], 0x56);
    EXPECT_EQ(card->mtu(), 1500);
    EXPECT_TRUE(card->transmit_checksum_offload());
    start(0);
    EXPECT_EQ(card->mac().bytes[0] & 3, 2) << "locally administered, not multicast";
    EXPECT_FALSE(card->transmit_checksum_offload());
}

TEST_F(NetTest, FramesGoOutWithTheirChecksumRequest) {
    start();
    std::string a(14, 'e'), b(100, 'p');
    std::span<const std::byte> pieces[] = {std::as_bytes(std::span(a)), std::as_bytes(std::span(b))};
    ASSERT_TRUE(card->transmit(pieces, {true, 34, 16}));
    ASSERT_TRUE(card->transmit(pieces, {true, 110, 16})) << "a request beyond the frame is not passed on";
    ASSERT_EQ(sent.size(), 2u);
    EXPECT_EQ(sent[0].substr(12), a + b);
    EXPECT_EQ(sent[0][0], 1);
    EXPECT_EQ(sent[0][6], 34);
    EXPECT_EQ(sent[0][8], 16);
    EXPECT_EQ(sent[1][0], 0);
    std::string large(1600, 'x');
    std::span<const std::byte> one[] = {std::as_bytes(std::span(large))};
    EXPECT_EQ(card->transmit(one, {}).error(), Errno::kMsgSize);
}

TEST_F(NetTest, AFullRingSaysAgainAndRecovers) {
    start();
    stalled = true;
    std::string frame(60, 'f');
    std::span<const std::byte> pieces[] = {std::as_bytes(std::span(frame))};
    unsigned count = 0;
    while (card->transmit(pieces, {})) count++;
    EXPECT_EQ(card->transmit(pieces, {}).error(), Errno::kAgain);
    EXPECT_GE(count, 32u);
    EXPECT_TRUE(transport->rings[1].interrupts_wanted());
    static unsigned ready;
    ready = 0;
    card->set_transmit_ready([](void*) { ready++; }, nullptr);
    transport->interrupt();
    EXPECT_EQ(ready, 0u);
    stalled = false;
    take();
    EXPECT_EQ(sent.size(), count);
    transport->interrupt();
    transport->interrupt();
    EXPECT_EQ(ready, 1u);
    EXPECT_FALSE(transport->rings[1].interrupts_wanted());
    EXPECT_TRUE(card->transmit(pieces, {}));
}

TEST_F(NetTest, FramesComeInOrderAndBuffersGoRound) {
    start();
    for (int round = 0; round < 500; round++) {
        received.clear();
        for (int i = 0; i < 20; i++) {
            ASSERT_TRUE(give(header(i % 2 ? 2 : 0, 1) + std::string(60 + i, static_cast<char>('a' + i))));
        }
        transport->interrupt();
        ASSERT_EQ(received.size(), 20u);
        for (int i = 0; i < 20; i++) {
            ASSERT_EQ(received[i].data, std::string(60 + i, static_cast<char>('a' + i)));
            ASSERT_EQ(received[i].good, i % 2 == 1);
        }
    }
    EXPECT_TRUE(transport->rings[0].interrupts_wanted());
    EXPECT_EQ(card->dropped(), 0u);
}

TEST_F(NetTest, MergedBuffersBecomeOneFrame) {
    start();
    ASSERT_TRUE(give(header(1, 3) + std::string(2000, 'a')));
    ASSERT_TRUE(give(std::string(2048, 'b')));
    transport->interrupt();
    EXPECT_TRUE(received.empty()) << "the third piece is to come";
    ASSERT_TRUE(give(std::string(10, 'c')));
    ASSERT_TRUE(give(header(0, 1) + std::string(60, 'd')));
    transport->interrupt();
    ASSERT_EQ(received.size(), 2u);
    EXPECT_EQ(received[0].data, std::string(2000, 'a') + std::string(2048, 'b') + std::string(10, 'c'));
    EXPECT_TRUE(received[0].good);
    EXPECT_EQ(received[1].data, std::string(60, 'd'));
}

TEST_F(NetTest, NonsenseFromTheDeviceIsDropped) {
    start();
    ASSERT_TRUE(give(""));
    ASSERT_TRUE(give(header(0, 1)));
    ASSERT_TRUE(give(header(0, 1) + "short"));
    ASSERT_TRUE(give(header(0, 20) + std::string(2000, 'a')));
    for (int i = 0; i < 19; i++) ASSERT_TRUE(give(std::string(2048, 'b')));
    ASSERT_TRUE(give(header(0, 0) + std::string(60, 'd')));
    transport->interrupt();
    ASSERT_EQ(received.size(), 1u);
    EXPECT_EQ(received[0].data, std::string(60, 'd'));
    EXPECT_EQ(card->dropped(), 4u);
    transport->rings[0].set_used_index(0x7000);
    transport->interrupt();
    EXPECT_EQ(received.size(), 1u);
}

TEST_F(NetTest, EveryAllocationMayFail) {
    for (unsigned n = 1;; n++) {
        auto model = std::make_unique<model::ModelTransport>();
        test_support::fail_allocation(n);
        auto made = Network::create(std::move(model));
        bool failed = test_support::allocation_failed();
        test_support::fail_allocation(0);
        ASSERT_EQ(made.has_value(), !failed);
        if (!failed) {
            ASSERT_GT(n, 5u);
            return;
        }
        EXPECT_EQ(made.error(), Errno::kNoMem);
    }
}

TEST_F(NetTest, FramesBeforeTheReceiverAreDropped) {
    start();
    card->set_receiver(nullptr, nullptr);
    ASSERT_TRUE(give(header(0, 1) + std::string(60, 'd')));
    transport->interrupt();
    EXPECT_TRUE(received.empty());
    EXPECT_EQ(card->dropped(), 1u);
}

TEST(EntropyDevice, BytesAreNeverGivenTwice) {
    auto owned = std::make_unique<model::ModelTransport>();
    model::ModelTransport& transport = *owned;
    uint8_t next = 1;
    bool answers = true;
    transport.on_notify = [&](uint16_t) {
        auto& ring = transport.rings[0];
        while (answers) {
            auto chain = ring.pop();
            if (!chain) break;
            std::string data(20, static_cast<char>(next++));  // fewer than asked for
            ring.push(chain->head, chain->fill(data));
        }
    };
    auto made = virtio::Entropy::create(std::move(owned));
    ASSERT_TRUE(made);
    std::array<std::byte, 30> bytes{};
    EXPECT_EQ((*made)->read(bytes), 30u);
    EXPECT_EQ(bytes[0], std::byte{1});
    EXPECT_EQ(bytes[19], std::byte{1});
    EXPECT_EQ(bytes[20], std::byte{2});
    answers = false;
    std::array<std::byte, 64> more{};
    EXPECT_EQ((*made)->read(more), 20u) << "the pending answer, then nothing";
    EXPECT_EQ(more[0], std::byte{3});
}

}  // namespace
