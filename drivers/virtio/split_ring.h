// The split virtqueue (virtio 1.2, 2.7): the driver's side, over memory that the caller provides. Pure: tested on
// the host against a model of a device. Not locked: each queue belongs to the lock of its device.
//
// The device is not trusted: what it writes is checked against the driver's own records, and descriptors are
// rebuilt from those, never read back. A malformed used entry is counted and dropped; a used index that claims
// more than is in flight breaks the ring (nothing is taken or added any more).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "core/result.h"
#include "core/types.h"
#include "core/vector.h"

namespace drivers::virtio {

class SplitRing {
  public:
    // Bytes that a ring of `size` entries (a power of two) needs, 16-aligned, zeroed, physically contiguous.
    static constexpr size_t memory_size(uint16_t size) {
        return driver_offset(size) + align4(6 + 2 * size_t{size}) + align4(6 + 8 * size_t{size});
    }

    SplitRing() = default;
    SplitRing(SplitRing&&) = default;
    SplitRing& operator=(SplitRing&&) = default;

    // ENOMEM, or EINVAL if `size` is no power of two or above 32768. Interrupts start enabled.
    Result<void> initialize(std::byte* memory, PhysAddr physical, uint16_t size);

    struct Piece {
        PhysAddr address;
        uint32_t size = 0;
    };
    // Makes a chain available: first what the device reads, then what it writes. `token` comes back in take().
    // EAGAIN: too few descriptors are free. EINVAL: an empty chain. EIO: the ring is broken. The device sees it
    // after publish().
    Result<void> add(std::span<const Piece> readable, std::span<const Piece> writable, uint32_t token);
    // Shows all added chains to the device; true if the device must be notified.
    [[nodiscard]] bool publish();

    struct Used {
        uint32_t token = 0;
        uint32_t written = 0;  // bytes the device wrote, at most what the chain offers
    };
    // The next chain the device has used, if any.
    std::optional<Used> take();
    bool has_used() const;

    // Hints to the device. enable_interrupts() returns true if used chains wait already, for which no interrupt
    // may come.
    void disable_interrupts();
    [[nodiscard]] bool enable_interrupts();

    uint16_t size() const { return size_; }
    uint16_t free_descriptors() const { return free_count_; }
    uint16_t in_flight() const { return in_flight_; }
    bool broken() const { return broken_; }
    uint32_t malformed_count() const { return malformed_; }
    // Counts all chains ever used by the device, modulo 2^16.
    uint16_t device_index() const;

    PhysAddr descriptor_area() const { return physical_; }
    PhysAddr driver_area() const { return physical_ + driver_offset(size_); }
    PhysAddr device_area() const { return physical_ + device_offset(size_); }

  private:
    struct Descriptor {
        uint64_t address;
        uint32_t length;
        uint16_t flags;
        uint16_t next;
    };
    struct UsedElement {
        uint32_t id;
        uint32_t length;
    };
    // The driver's own record of a descriptor.
    struct State {
        uint16_t next = 0;         // free list
        uint16_t chain_length = 0;  // of a head in flight; 0: not a head
        uint32_t writable_bytes = 0;
        uint32_t token = 0;
    };
    static constexpr size_t align4(size_t value) { return (value + 3) & ~size_t{3}; }
    static constexpr size_t driver_offset(uint16_t size) { return 16 * size_t{size}; }
    static constexpr size_t device_offset(uint16_t size) { return driver_offset(size) + align4(6 + 2 * size_t{size}); }

    uint16_t& driver_flags() { return *reinterpret_cast<uint16_t*>(memory_ + driver_offset(size_)); }
    uint16_t& driver_index() { return *reinterpret_cast<uint16_t*>(memory_ + driver_offset(size_) + 2); }
    uint16_t& driver_ring(uint16_t slot) {
        return *reinterpret_cast<uint16_t*>(memory_ + driver_offset(size_) + 4 + 2 * size_t{slot});
    }

    std::byte* memory_ = nullptr;
    PhysAddr physical_;
    core::Vector<State> states_;
    uint16_t size_ = 0;
    uint16_t free_head_ = 0, free_count_ = 0;
    uint16_t next_available_ = 0, published_ = 0;
    uint16_t last_used_ = 0;
    uint16_t in_flight_ = 0;
    uint32_t malformed_ = 0;
    bool broken_ = false;
};

}  // namespace drivers::virtio
