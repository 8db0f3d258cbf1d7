// virtio-console with several named ports (virtio 1.2, 5.3): the tool's channels (docs/boot-protocol.md).
//
// Locks: the control queues have one lock, each port its own, all of Rank::kDevice and never nested: a control
// message is copied out before it is acted upon. `changed` and `handler` are told with no lock held.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

#include "core/lock.h"
#include "drivers/devices.h"
#include "drivers/virtio/transport.h"

namespace drivers::virtio {

class ConsolePort final : public Port {
  public:
    // Takes over the port's queues and gives the device its receive buffers. ENOMEM.
    static Result<std::unique_ptr<ConsolePort>> create(Queue receive, Queue transmit);
    ConsolePort(Queue receive, Queue transmit);

    std::string_view name() const override;
    size_t read(void* data, size_t size) override;
    bool readable() const override;
    bool host_closed() const override { return state_.load() == State::kClosed; }
    size_t write(const void* data, size_t size) override;
    bool writable() const override;
    bool drained() const override;

    // From control messages. The name can be set once; it is cut to 63 characters.
    void set_name(std::string_view name);
    void set_host_open(bool open);
    // The device has raised an interrupt: tells waiters what has changed on this port.
    void on_interrupt();

  private:
    // Before the host first opens its end it is not "closed": readers wait for it.
    enum class State : uint8_t { kNeverOpened, kOpen, kClosed };
    static constexpr size_t kReceiveBuffers = 4, kReceiveSize = 2048;
    static constexpr size_t kTransmitBuffers = 4, kTransmitSize = 4096;
    static constexpr uint32_t kAllFree = (1u << kTransmitBuffers) - 1;

    void announce(uint32_t events);
    bool fetch_locked() const;
    void give_back_locked(uint32_t buffer) const;
    bool reclaim_locked() const;
    void settle_transmit_locked() const;

    mutable core::Spinlock lock_{core::Rank::kDevice};
    // Looking at a ring takes what has come, hence mutable.
    mutable Queue receive_, transmit_;
    DmaMemory receive_memory_, transmit_memory_;
    mutable uint32_t transmit_free_ = kAllFree;
    // The received buffer that is being read.
    mutable bool has_current_ = false;
    mutable uint32_t current_buffer_ = 0, current_size_ = 0, current_offset_ = 0;
    uint16_t announced_index_ = 0;
    std::atomic<State> state_{State::kNeverOpened};
    char name_[64] = {};
    std::atomic<size_t> name_length_{0};
};

class Console {
  public:
    // Starts the device and waits a bounded time until every port has told its name. ENODEV, EPROTO, ENOMEM.
    static Result<std::unique_ptr<Console>> create(std::unique_ptr<Transport> transport);
    explicit Console(std::unique_ptr<Transport> transport) : transport_(std::move(transport)) {}
    // Only in tests and after a failed start: a started device lives as long as the machine.
    ~Console();
    Port* find(std::string_view name);
    void on_interrupt();

  private:
    static constexpr uint32_t kMaximumPorts = 16;
    static constexpr size_t kControlBuffers = 32, kControlSize = 96;
    static constexpr size_t kSendBuffers = 16, kSendSize = 16;
    struct Message;
    struct Slot {
        Queue receive, transmit;
        std::atomic<ConsolePort*> port{nullptr};  // owned; stays once set
        bool answered = false;
    };

    Result<void> start();
    void wait_for_names();
    void pump();
    bool take_message(Message& message);
    void handle(const Message& message);
    void add_port(uint32_t id);
    void send(uint32_t id, uint16_t event, uint16_t value);

    std::unique_ptr<Transport> transport_;
    DmaArena arena_;
    core::Spinlock lock_{core::Rank::kDevice};  // control queues
    Queue control_receive_, control_transmit_;
    DmaArena::Piece control_buffers_, send_buffers_;
    uint32_t send_free_ = (1u << kSendBuffers) - 1;
    uint32_t port_limit_ = 0;
    std::array<Slot, kMaximumPorts> slots_;
};

}  // namespace drivers::virtio
