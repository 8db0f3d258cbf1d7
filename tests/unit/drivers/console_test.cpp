#include <gtest/gtest.h>

#include "allocation_failure.h"
#include "drivers/virtio/console.h"
#include "fs/poll.h"
#include "model_device.h"

namespace {

using namespace drivers;
using virtio::Console;

// The host's end of a multiport console: answers control messages as QEMU's hw/char/virtio-serial-bus.c does.
struct Host {
    struct PortModel {
        std::string name;
        bool connected = true;
        bool guest_open = false;
    };
    std::map<uint32_t, PortModel> ports;
    model::ModelTransport* transport = nullptr;
    std::map<uint32_t, std::string> received;
    bool stalled = false;  // takes no data from the guest

    std::unique_ptr<model::ModelTransport> make() {
        auto owned = std::make_unique<model::ModelTransport>();
        transport = owned.get();
        transport->type = virtio::kConsoleId;
        transport->features |= 2;
        transport->config = std::string("\0\0\0\0\x08\0\0\0\0\0\0\0", 12);
        transport->on_notify = [this](uint16_t queue) { notified(queue); };
        return owned;
    }
    static uint16_t receive_queue(uint32_t id) { return static_cast<uint16_t>(id == 0 ? 0 : 2 * id + 2); }

    void control(uint32_t id, uint16_t event, uint16_t value, const std::string& text = {}) {
        std::string message(8, '\0');
        std::memcpy(message.data(), &id, 4);
        std::memcpy(message.data() + 4, &event, 2);
        std::memcpy(message.data() + 6, &value, 2);
        raw_control(message + text);
    }
    void raw_control(const std::string& message) {
        auto chain = transport->rings[2].pop();
        ASSERT_TRUE(chain) << "no control buffer: the message would be lost";
        transport->rings[2].push(chain->head, chain->fill(message));
    }
    void notified(uint16_t queue) {
        if (queue == 3) {
            while (auto chain = transport->rings[3].pop()) {
                std::string text = chain->text();
                transport->rings[3].push(chain->head, 0);
                ASSERT_EQ(text.size(), 8u);
                uint32_t id;
                uint16_t event, value;
                std::memcpy(&id, text.data(), 4);
                std::memcpy(&event, text.data() + 4, 2);
                std::memcpy(&value, text.data() + 6, 2);
                message(id, event, value);
            }
        } else if (queue != 2 && queue % 2 == 1 && !stalled) {
            take_output(queue == 1 ? 0 : (queue - 3u) / 2);
        }
    }
    void message(uint32_t id, uint16_t event, uint16_t value) {
        if (event == 0) {
            for (auto& [port, model] : ports) control(port, 1, 1);
        } else if (event == 3 && value == 1) {
            if (!ports[id].name.empty()) control(id, 7, 1, ports[id].name + std::string(1, '\0'));
            if (ports[id].connected) control(id, 6, 1);
        } else if (event == 6) {
            ports[id].guest_open = value != 0;
        }
    }
    void take_output(uint32_t id) {
        auto& ring = transport->rings[static_cast<uint16_t>(receive_queue(id) + 1)];
        while (auto chain = ring.pop()) {
            received[id] += chain->text();
            ring.push(chain->head, 0);
        }
    }
    // Sends what fits into the guest's buffers; returns how much that was.
    size_t send(uint32_t id, const std::string& data) {
        auto& ring = transport->rings[receive_queue(id)];
        size_t done = 0;
        while (done < data.size()) {
            auto chain = ring.pop();
            if (!chain) break;
            uint32_t part = chain->fill(data.substr(done));
            ring.push(chain->head, part);
            done += part;
        }
        return done;
    }
};

struct ConsoleTest : testing::Test {
    Host host;
    std::unique_ptr<Console> console;

    void start() {
        auto made = Console::create(host.make());
        ASSERT_TRUE(made);
        console = std::move(*made);
    }
    void SetUp() override {
        host.ports[1] = {"isounik.stdin"};
        host.ports[2] = {"isounik.stdout"};
        host.ports[5] = {"isounik.control"};
    }
    static std::string drain(Port& port, size_t chunk = 100) {
        std::string all(1 << 20, '\0');
        size_t size = 0;
        while (size_t part = port.read(all.data() + size, chunk)) size += part;
        all.resize(size);
        return all;
    }
};

TEST_F(ConsoleTest, PortsAreFoundByNameAndOpened) {
    start();
    EXPECT_EQ(host.transport->status_history, (std::vector<uint8_t>{0, 1, 3, 11, 15}));
    ASSERT_NE(console->find("isounik.stdin"), nullptr);
    ASSERT_NE(console->find("isounik.control"), nullptr);
    EXPECT_NE(console->find("isounik.stdin"), console->find("isounik.stdout"));
    EXPECT_EQ(console->find("isounik.stderr"), nullptr);
    EXPECT_EQ(console->find(""), nullptr);
    EXPECT_TRUE(host.ports[1].guest_open);
    EXPECT_TRUE(host.ports[5].guest_open);
}

TEST_F(ConsoleTest, ADeviceWithoutNamedPortsIsRefused) {
    auto transport = host.make();
    transport->features &= ~uint64_t{2};
    EXPECT_EQ(Console::create(std::move(transport)).error(), Errno::kNoDev);
}

TEST_F(ConsoleTest, BytesArriveInAnyChunks) {
    start();
    Port& port = *console->find("isounik.stdin");
    EXPECT_FALSE(port.readable());
    char byte;
    EXPECT_EQ(port.read(&byte, 1), 0u);
    std::string data;
    for (int i = 0; i < 5000; i++) data += static_cast<char>(i * 7);
    for (size_t chunk : {1u, 3u, 100u, 4096u, 100'000u}) {
        ASSERT_EQ(host.send(1, data), data.size());
        EXPECT_TRUE(port.readable());
        EXPECT_EQ(drain(port, chunk), data);
        EXPECT_FALSE(port.readable());
    }
}

TEST_F(ConsoleTest, ReceiveBuffersGoRoundForEver) {
    start();
    Port& port = *console->find("isounik.stdin");
    for (int i = 0; i < 1000; i++) {
        std::string line = "line " + std::to_string(i);
        ASSERT_EQ(host.send(1, line), line.size());
        ASSERT_EQ(drain(port), line);
    }
}

TEST_F(ConsoleTest, OutputIsUnalteredAndDrains) {
    start();
    Port& port = *console->find("isounik.stdout");
    std::string data;
    for (int i = 0; i < 300'000; i++) data += static_cast<char>(i * 31 >> 3);
    size_t done = 0;
    while (done < data.size()) {
        size_t part = port.write(data.data() + done, data.size() - done);
        ASSERT_GT(part, 0u);
        done += part;
    }
    EXPECT_TRUE(port.drained());
    EXPECT_EQ(host.received[2], data);
}

TEST_F(ConsoleTest, AStalledHostFillsTheRingAndWakesWritersLater) {
    start();
    Port& port = *console->find("isounik.stdout");
    host.stalled = true;
    std::string data(1'000'000, 'x');
    size_t accepted = 0;
    while (size_t part = port.write(data.data(), data.size() - accepted)) accepted += part;
    EXPECT_GT(accepted, 4096u);
    EXPECT_LT(accepted, data.size());
    EXPECT_FALSE(port.writable());
    EXPECT_FALSE(port.drained());
    EXPECT_TRUE(host.transport->rings[7].interrupts_wanted());
    static unsigned calls;
    calls = 0;
    port.handler = [](Port&, void*) { calls++; };
    host.stalled = false;
    host.take_output(2);
    host.transport->interrupt();
    EXPECT_EQ(calls, 1u);
    EXPECT_TRUE(port.writable());
    EXPECT_TRUE(port.drained());
    EXPECT_FALSE(host.transport->rings[7].interrupts_wanted());
    EXPECT_EQ(host.received[2].size(), accepted);
}

TEST_F(ConsoleTest, ClosingComesAfterTheLastBytes) {
    start();
    Port& port = *console->find("isounik.stdin");
    EXPECT_FALSE(port.host_closed());
    host.send(1, "last words");
    host.control(1, 6, 0);
    host.transport->interrupt();
    EXPECT_TRUE(port.host_closed());
    EXPECT_TRUE(port.readable());
    EXPECT_EQ(drain(port), "last words");
    host.control(1, 6, 1);
    host.transport->interrupt();
    EXPECT_FALSE(port.host_closed());
}

TEST_F(ConsoleTest, APortThatWasNeverOpenIsNotClosed) {
    host.ports[1].connected = false;
    start();
    Port& port = *console->find("isounik.stdin");
    EXPECT_FALSE(port.host_closed());
    host.control(1, 6, 0);
    host.transport->interrupt();
    EXPECT_FALSE(port.host_closed());
}

TEST_F(ConsoleTest, TheHandlerIsCalledForInput) {
    start();
    Port& port = *console->find("isounik.control");
    struct Seen {
        unsigned calls = 0;
        std::string text;
    } seen;
    port.handler_context = &seen;
    port.handler = [](Port& p, void* context) {
        auto& s = *static_cast<Seen*>(context);
        s.calls++;
        s.text += drain(p);
    };
    host.send(5, "signal INT\n");
    host.transport->interrupt();
    EXPECT_EQ(seen.calls, 1u);
    EXPECT_EQ(seen.text, "signal INT\n");
    host.transport->interrupt();
    EXPECT_EQ(seen.calls, 1u) << "nothing new";
    EXPECT_EQ(host.transport->acknowledged, 2u);
}

TEST_F(ConsoleTest, MalformedControlMessagesDoNoHarm) {
    start();
    host.raw_control("");
    host.raw_control("abc");
    host.control(77, 1, 1);            // beyond the limit
    host.control(0xffff'ffff, 6, 1);
    host.control(3, 6, 1);             // never added
    host.control(1, 1, 1);             // added twice
    host.control(1, 999, 0);
    host.control(2, 7, 1, std::string(500, 'n'));  // longer than the buffer; named already
    host.transport->interrupt();
    EXPECT_NE(console->find("isounik.stdin"), nullptr);
    EXPECT_NE(console->find("isounik.stdout"), nullptr);
    host.send(1, "still alive");
    EXPECT_EQ(drain(*console->find("isounik.stdin")), "still alive");
}

TEST_F(ConsoleTest, ALongNameIsCut) {
    host.ports[3] = {std::string(80, 'n')};
    start();
    EXPECT_NE(console->find(std::string(63, 'n')), nullptr);
}

TEST_F(ConsoleTest, EveryAllocationMayFail) {
    for (unsigned n = 1;; n++) {
        Host fresh;
        fresh.ports = host.ports;
        auto transport = fresh.make();
        test_support::fail_allocation(n);
        auto made = Console::create(std::move(transport));
        bool failed = test_support::allocation_failed();
        test_support::fail_allocation(0);
        if (!failed) {
            ASSERT_TRUE(made);
            ASSERT_GT(n, 20u);
            return;
        }
        // Either the device does not start, or one of its ports is not there.
        if (made) {
            EXPECT_FALSE((*made)->find("isounik.stdin") && (*made)->find("isounik.stdout") &&
                         (*made)->find("isounik.control"));
        } else {
            EXPECT_EQ(made.error(), Errno::kNoMem);
        }
    }
}

TEST_F(ConsoleTest, ABrokenReceiveRingEndsTheInput) {
    start();
    Port& port = *console->find("isounik.stdin");
    host.send(1, "good");
    host.transport->interrupt();
    EXPECT_EQ(drain(port), "good");
    host.transport->rings[4].set_used_index(0x4000);
    host.transport->interrupt();
    EXPECT_TRUE(port.host_closed());
    EXPECT_EQ(drain(port), "");
}

TEST_F(ConsoleTest, PortsMayComeLater) {
    start();
    host.ports[3] = {"late"};
    host.control(3, 1, 1);
    host.transport->interrupt();
    // The name comes as an answer to the port's own message.
    host.transport->interrupt();
    EXPECT_NE(console->find("late"), nullptr);
}

TEST(VirtioStart, RefusalsFollowTheSpecification) {
    auto legacy = std::make_unique<model::ModelTransport>();
    legacy->features = 2;
    EXPECT_EQ(Console::create(std::move(legacy)).error(), Errno::kNoDev);
    auto stubborn = std::make_unique<model::ModelTransport>();
    stubborn->features |= 2;
    stubborn->accepts_features = false;
    EXPECT_EQ(Console::create(std::move(stubborn)).error(), Errno::kProto);
    auto stuck = std::make_unique<model::ModelTransport>();
    stuck->resets = false;
    EXPECT_EQ(Console::create(std::move(stuck)).error(), Errno::kProto);
}

}  // namespace
