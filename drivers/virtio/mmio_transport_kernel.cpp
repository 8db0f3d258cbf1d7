// Virtio over memory-mapped registers (virtio 1.2, 4.2), version 2 of the register layout.
#include "arch/x86_64/interrupts.h"
#include "core/log.h"
#include "drivers/apic/ioapic.h"
#include "drivers/registers.h"
#include "drivers/virtio/discovery.h"

namespace drivers::virtio {
namespace {

// Register offsets (4.2.2, table 4.1).
constexpr size_t kMagic = 0x000, kVersion = 0x004, kDeviceId = 0x008, kDeviceFeatures = 0x010,
                 kDeviceFeaturesSelect = 0x014, kDriverFeatures = 0x020, kDriverFeaturesSelect = 0x024,
                 kQueueSelect = 0x030, kQueueSizeMax = 0x034, kQueueSize = 0x038, kQueueReady = 0x044,
                 kQueueNotify = 0x050, kInterruptStatus = 0x060, kInterruptAck = 0x064, kStatus = 0x070,
                 kQueueDescriptors = 0x080, kQueueDriver = 0x090, kQueueDevice = 0x0a0, kConfigGeneration = 0x0fc,
                 kConfig = 0x100;
constexpr uint32_t kMagicValue = 0x74726976;  // "virt"

class MmioTransport final : public Transport {
  public:
    MmioTransport(Registers registers, const acpi::VirtioMmioSlot& slot, uint32_t type)
        : registers_(registers), slot_(slot), type_(type) {}

    uint32_t device_type() const override { return type_; }
    uint8_t status() override { return static_cast<uint8_t>(read(kStatus)); }
    void set_status(uint8_t status) override { write(kStatus, status); }

    uint64_t device_features() override {
        write(kDeviceFeaturesSelect, 1);
        uint64_t high = read(kDeviceFeatures);
        write(kDeviceFeaturesSelect, 0);
        return high << 32 | read(kDeviceFeatures);
    }
    void set_driver_features(uint64_t features) override {
        write(kDriverFeaturesSelect, 1);
        write(kDriverFeatures, static_cast<uint32_t>(features >> 32));
        write(kDriverFeaturesSelect, 0);
        write(kDriverFeatures, static_cast<uint32_t>(features));
    }

    uint16_t maximum_queue_size(uint16_t queue) override {
        write(kQueueSelect, queue);
        if (read(kQueueReady) != 0) return 0;
        uint32_t maximum = read(kQueueSizeMax);
        return static_cast<uint16_t>(maximum > 32768 ? 32768 : maximum);
    }
    Result<void> enable_queue(uint16_t queue, const SplitRing& ring) override {
        write(kQueueSelect, queue);
        write(kQueueSize, ring.size());
        write_address(kQueueDescriptors, ring.descriptor_area());
        write_address(kQueueDriver, ring.driver_area());
        write_address(kQueueDevice, ring.device_area());
        write(kQueueReady, 1);
        return {};
    }
    void notify(uint16_t queue) override { write(kQueueNotify, queue); }

    void read_config(size_t offset, std::span<std::byte> destination) override {
        // Read again if the device changed it meanwhile (4.2.2.2); not for ever.
        for (unsigned attempt = 0; attempt < 16; attempt++) {
            uint32_t generation = read(kConfigGeneration);
            for (size_t i = 0; i < destination.size(); i++) {
                bool inside = kConfig + offset + i < slot_.size;
                destination[i] = inside ? registers_.read<std::byte>(kConfig + offset + i) : std::byte{0};
            }
            if (read(kConfigGeneration) == generation) return;
        }
    }

    Result<void> connect(void (*handler)(void*), void* context) override {
        uint8_t vector = TRY(arch::allocate_vector(handler, context));
        return ioapic::route(slot_.gsi, vector, slot_.trigger, slot_.polarity, 0);
    }
    void acknowledge() override { write(kInterruptAck, read(kInterruptStatus)); }

  private:
    uint32_t read(size_t offset) const { return registers_.read<uint32_t>(offset); }
    void write(size_t offset, uint32_t value) { registers_.write<uint32_t>(offset, value); }
    void write_address(size_t offset, PhysAddr address) {
        write(offset, static_cast<uint32_t>(address.value()));
        write(offset + 4, static_cast<uint32_t>(address.value() >> 32));
    }

    Registers registers_;
    acpi::VirtioMmioSlot slot_;
    uint32_t type_;
};

}  // namespace

Result<std::unique_ptr<Transport>> make_mmio_transport(const acpi::VirtioMmioSlot& slot) {
    Registers registers(TRY(arch::map_mmio(slot.address, slot.size)));
    if (registers.read<uint32_t>(kMagic) != kMagicValue) return fail(Errno::kNoDev);
    auto version = registers.read<uint32_t>(kVersion);
    auto type = registers.read<uint32_t>(kDeviceId);
    if (type == 0) return fail(Errno::kNoDev);
    if (version != 2) {
        klog::warn("virtio: device {} at {} is legacy (version {}): start QEMU with "
                   "-global virtio-mmio.force-legacy=false", type, slot.address, version);
        return fail(Errno::kNoDev);
    }
    return TRY(core::make<MmioTransport>(registers, slot, type));
}

}  // namespace drivers::virtio
