// How a virtio device is reached: PCI (pci_transport) or memory-mapped registers (mmio_transport), virtio 1.x only.
//
// Initialisation order (virtio 1.2, 3.1.1), kept by begin() and finish():
//   1. reset, wait until status reads 0        begin()
//   2. ACKNOWLEDGE, then DRIVER                begin()
//   3. read features, write the subset         begin()
//   4. FEATURES_OK, read it back               begin()
//   5. make all queues, fill receive queues    Queue::create()
//   6. connect the interrupt                   connect(): last, so that no failure follows it
//   7. DRIVER_OK                               finish(), then publish and notify
// A failure at any step sets FAILED, resets the device and leaves it out (abandon()).
//
// Threading: steps 1 to 7 run on one processor in drivers::initialize(). Afterwards the transport has no state of
// its own but registers: notify() may be called from any processor, read_config() under the device's lock, and the
// interrupt handler runs with IF = 0 with no lock held, on one processor at a time. Every device has one vector for
// all its queues and configuration changes; its handler calls acknowledge() first, then looks at everything, so
// that no event between the two is lost and level-triggered lines go down before the EOI.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "core/memory.h"
#include "core/result.h"
#include "drivers/dma.h"
#include "drivers/virtio/split_ring.h"

namespace drivers::virtio {

// Device types (virtio 1.2, 5).
inline constexpr uint32_t kNetworkId = 1, kConsoleId = 3, kEntropyId = 4;
// Features of every device (6).
inline constexpr uint64_t kFeatureVersion1 = uint64_t{1} << 32;

class Transport {
  public:
    virtual ~Transport() = default;
    virtual uint32_t device_type() const = 0;

    virtual uint8_t status() = 0;
    virtual void set_status(uint8_t status) = 0;
    virtual uint64_t device_features() = 0;
    virtual void set_driver_features(uint64_t features) = 0;

    // 0: no such queue.
    virtual uint16_t maximum_queue_size(uint16_t queue) = 0;
    virtual Result<void> enable_queue(uint16_t queue, const SplitRing& ring) = 0;
    virtual void notify(uint16_t queue) = 0;

    // Bytes past the configuration structure read as zero.
    virtual void read_config(size_t offset, std::span<std::byte> destination) = 0;
    template <typename T>
    T read_config(size_t offset) {
        T value{};
        read_config(offset, std::as_writable_bytes(std::span(&value, 1)));
        return value;
    }

    // `handler` is called for each interrupt of the device, on the boot processor.
    virtual Result<void> connect(void (*handler)(void* context), void* context) = 0;
    virtual void acknowledge() = 0;
};

// Steps 1 to 4. Returns the features that both sides want. ENODEV: the device offers no virtio 1; EPROTO: it does
// not reset or does not accept the features.
Result<uint64_t> begin(Transport& transport, uint64_t wanted);
void finish(Transport& transport);
void abandon(Transport& transport);

// One virtqueue: its ring, the memory of it, and its number.
class Queue {
  public:
    // At most `wanted_size` entries, in memory of `arena`, which must outlive the device's use of the queue.
    // ENODEV: the device has no such queue. ENOMEM.
    static Result<Queue> create(Transport& transport, uint16_t number, uint16_t wanted_size, DmaArena& arena);
    Queue() = default;
    Queue(Queue&&) = default;
    Queue& operator=(Queue&&) = default;

    SplitRing ring;
    // Publishes what was added and notifies the device if it wants that.
    void kick() {
        if (ring.publish()) transport_->notify(number_);
    }
    explicit operator bool() const { return transport_ != nullptr; }

  private:
    Transport* transport_ = nullptr;
    uint16_t number_ = 0;
};

}  // namespace drivers::virtio
