// virtio-net (virtio 1.2, 5.1): one receive and one transmit queue, mergeable receive buffers, checksum offload.
//
// Locks: transmit and receive rings have one lock each (Rank::kDevice, never both). Frames are handed to the receiver
// with none held, in order, by one processor at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "core/lock.h"
#include "drivers/devices.h"
#include "drivers/virtio/transport.h"

namespace drivers::virtio {

class Network final : public NetworkDevice {
  public:
    // ENODEV, EPROTO, ENOMEM. Frames that come before set_receiver() are dropped.
    static Result<std::unique_ptr<Network>> create(std::unique_ptr<Transport> transport);
    explicit Network(std::unique_ptr<Transport> transport) : transport_(std::move(transport)) {}

    MacAddress mac() const override { return mac_; }
    uint16_t mtu() const override { return mtu_; }
    bool transmit_checksum_offload() const override { return checksum_offload_; }
    Result<void> transmit(std::span<const std::span<const std::byte>> pieces, Checksum checksum) override;
    void set_receiver(Receiver receiver, void* context) override;
    void set_transmit_ready(void (*ready)(void* context), void* context) override;

    void on_interrupt();
    uint64_t dropped() const { return dropped_; }

  private:
    static constexpr size_t kBufferSize = 2048;
    static constexpr uint16_t kReceiveBuffers = 128, kTransmitBuffers = 64;
    static constexpr size_t kBatch = 16;
    // A frame over several buffers is put together here; larger ones are dropped.
    static constexpr size_t kScratchSize = 2 * kPageSize;
    struct Piece {
        uint32_t buffer = 0, size = 0;
    };

    Result<void> start();
    void receive();
    size_t take_batch(Piece* batch);
    void give_back(const Piece* batch, size_t count);
    void deliver(const Piece& piece);
    void reclaim_locked();
    bool transmit_room_came();

    std::unique_ptr<Transport> transport_;
    DmaArena arena_;
    MacAddress mac_{};
    uint16_t mtu_ = 1500;
    bool checksum_offload_ = false;

    core::Spinlock receive_lock_{core::Rank::kDevice};
    Queue receive_queue_;
    DmaMemory receive_memory_;
    std::atomic<bool> receiving_{false};
    // Of the processor that has set receiving_: the frame that is being put together.
    std::unique_ptr<std::byte[]> scratch_;
    size_t scratch_size_ = 0;
    unsigned pieces_to_come_ = 0;
    bool scratch_overflow_ = false, scratch_checksum_good_ = false;
    uint64_t dropped_ = 0;
    std::atomic<Receiver> receiver_{nullptr};
    void* receiver_context_ = nullptr;

    core::Spinlock transmit_lock_{core::Rank::kDevice};
    Queue transmit_queue_;
    DmaMemory transmit_memory_;
    uint64_t transmit_free_ = ~uint64_t{0};
    bool transmit_blocked_ = false;  // EAGAIN was said; the transmit interrupt is on
    std::atomic<void (*)(void*)> transmit_ready_{nullptr};
    void* transmit_ready_context_ = nullptr;
};

}  // namespace drivers::virtio
