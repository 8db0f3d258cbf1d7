// What drivers offer to the rooms above. Implementations: virtio (PCI and MMIO), or fakes in tests.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/memory.h"
#include "core/result.h"
#include "core/types.h"
#include "sched/wait_queue.h"

namespace drivers {

// One direction-neutral byte channel of the host (a virtio-serial port).
class Port {
  public:
    virtual ~Port() = default;
    virtual std::string_view name() const = 0;
    // Copies what has arrived, at most `size` bytes; 0: nothing now. Never sleeps.
    virtual size_t read(void* data, size_t size) = 0;
    virtual bool readable() const = 0;
    // The host's end is closed: after the remaining bytes, readers see end of file.
    virtual bool host_closed() const = 0;
    // Queues at most `size` bytes for the host; returns how many, 0 if the ring is full. Never sleeps.
    virtual size_t write(const void* data, size_t size) = 0;
    virtual bool writable() const = 0;
    // All that was written has been taken by the device.
    virtual bool drained() const = 0;
    // Told on every change of the above (kPollIn / kPollOut bits of fs/poll.h). If `handler` is set, it is
    // called too, from the interrupt, with no lock held.
    sched::WaitQueue changed;
    void (*handler)(Port& port, void* context) = nullptr;
    void* handler_context = nullptr;
};
// Null if the host has no such port. Without a virtio console the serial port stands for some (serial_port.h).
Port* find_port(std::string_view name);

// A network card. Packets are whole Ethernet frames without FCS.
struct MacAddress { uint8_t bytes[6]; };
class NetworkDevice {
  public:
    virtual ~NetworkDevice() = default;
    virtual MacAddress mac() const = 0;
    virtual uint16_t mtu() const = 0;
    // Offloads: checksum on transmit (the packet carries csum_start/csum_offset), receive verified by host.
    virtual bool transmit_checksum_offload() const = 0;
    struct Checksum { bool needed = false; uint16_t start = 0, offset = 0; };
    // Copies `pieces` (kernel memory) into a transmit buffer. EAGAIN if the ring is full, EMSGSIZE if the frame
    // is longer than the MTU allows. Never sleeps.
    virtual Result<void> transmit(std::span<const std::span<const std::byte>> pieces, Checksum checksum) = 0;
    // Received frames go here, from the interrupt (or a poll), until the queue is empty. The data is only valid
    // during the call. No device lock is held. `checksum_good`: need not be verified.
    using Receiver = void (*)(void* context, std::span<const std::byte> frame, bool checksum_good);
    virtual void set_receiver(Receiver receiver, void* context) = 0;
    // Called from the interrupt, with no device lock held, when there is room again after transmit() said EAGAIN.
    virtual void set_transmit_ready(void (*ready)(void* context), void* context) {
        (void)ready;
        (void)context;
    }
};
NetworkDevice* network_device();

// Fills `destination` from virtio-rng, else RDRAND/RDSEED, else the TSC with one warning. Boot-time seed only:
// core/random.h is what others use.
void hardware_entropy(std::span<std::byte> destination);

// What the boot protocol says of the hardware.
struct BootHardware {
    PhysAddr rsdp;                  // of the PVH start info; null: look for it as a BIOS machine does
    std::string_view command_line;  // for virtio_mmio.device=<size>@<address>:<irq>; must stay valid
};
// First step: reads the ACPI tables. Needs the direct map only: no allocator, no interrupts. Afterwards
// processor_apic_ids(), power_off() and drivers/acpi/acpi.h answer.
void discover_platform(const BootHardware& boot);
// Second step: finds all devices (PCI, MMIO slots) and starts them; logs what it found. Needs frames, the heap
// and interrupt vectors (arch/x86_64/interrupts.h). A device that fails is logged and left out.
void initialize();
// ACPI: local APIC ids of usable processors, in MADT order; the boot processor is first. Without ACPI: one, 0.
std::span<const uint32_t> processor_apic_ids();
// From any context, also from panic(): takes no lock, allocates nothing.
[[noreturn]] void power_off();

}  // namespace drivers
