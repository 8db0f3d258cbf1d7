// Virtio over PCI (virtio 1.2, 4.1): capability structures and one MSI-X vector.
#include "arch/x86_64/interrupts.h"
#include "core/log.h"
#include "drivers/registers.h"
#include "drivers/virtio/discovery.h"

namespace drivers::virtio {
namespace {

// Common configuration structure (4.1.4.3).
constexpr size_t kDeviceFeatureSelect = 0x00, kDeviceFeature = 0x04, kDriverFeatureSelect = 0x08,
                 kDriverFeature = 0x0c, kConfigMsixVector = 0x10, kDeviceStatus = 0x14, kConfigGeneration = 0x15,
                 kQueueSelect = 0x16, kQueueSize = 0x18, kQueueMsixVector = 0x1a, kQueueEnable = 0x1c,
                 kQueueNotifyOffset = 0x1e, kQueueDescriptors = 0x20, kQueueDriver = 0x28, kQueueDevice = 0x30;
constexpr uint16_t kNoVector = 0xffff;
// No structure that we use is larger; maps are cut to it.
constexpr uint32_t kMaximumWindow = 64 * 1024;

class PciTransport final : public Transport {
  public:
    PciTransport(pci::ConfigSpace& config, pci::Address address, uint32_t type, const pci::MsiX& msix)
        : config_(config), address_(address), type_(type), msix_(msix) {}

    Result<void> map(const pci::VirtioLayout& layout) {
        common_ = TRY(window(layout.common));
        notify_ = TRY(window(layout.notify));
        notify_length_ = layout.notify.length < kMaximumWindow ? layout.notify.length : kMaximumWindow;
        notify_multiplier_ = layout.notify_multiplier;
        if (layout.device) {
            device_ = TRY(window(layout.device));
            device_length_ = layout.device.length < kMaximumWindow ? layout.device.length : kMaximumWindow;
        }
        PhysAddr bar = TRY(pci::memory_bar(config_, address_, msix_.table_bar));
        msix_table_ = Registers(TRY(arch::map_mmio(bar + msix_.table_offset, 16)));
        return {};
    }

    uint32_t device_type() const override { return type_; }
    uint8_t status() override { return common_.read<uint8_t>(kDeviceStatus); }
    void set_status(uint8_t status) override { common_.write<uint8_t>(kDeviceStatus, status); }

    uint64_t device_features() override {
        common_.write<uint32_t>(kDeviceFeatureSelect, 1);
        uint64_t high = common_.read<uint32_t>(kDeviceFeature);
        common_.write<uint32_t>(kDeviceFeatureSelect, 0);
        return high << 32 | common_.read<uint32_t>(kDeviceFeature);
    }
    void set_driver_features(uint64_t features) override {
        common_.write<uint32_t>(kDriverFeatureSelect, 1);
        common_.write<uint32_t>(kDriverFeature, static_cast<uint32_t>(features >> 32));
        common_.write<uint32_t>(kDriverFeatureSelect, 0);
        common_.write<uint32_t>(kDriverFeature, static_cast<uint32_t>(features));
    }

    uint16_t maximum_queue_size(uint16_t queue) override {
        common_.write<uint16_t>(kQueueSelect, queue);
        uint16_t size = common_.read<uint16_t>(kQueueSize);
        return size > 32768 ? 32768 : size;
    }
    Result<void> enable_queue(uint16_t queue, const SplitRing& ring) override {
        if (queue >= kMaximumQueues) return fail(Errno::kNoDev);
        common_.write<uint16_t>(kQueueSelect, queue);
        uint64_t notify_at = uint64_t{common_.read<uint16_t>(kQueueNotifyOffset)} * notify_multiplier_;
        if (notify_at + 2 > notify_length_) return fail(Errno::kProto);
        notify_offset_[queue] = static_cast<uint32_t>(notify_at);
        common_.write<uint16_t>(kQueueSize, ring.size());
        common_.write<uint16_t>(kQueueMsixVector, 0);
        // The device answers "no vector" if it has no resources for one (4.1.5.1.2).
        if (common_.read<uint16_t>(kQueueMsixVector) == kNoVector) return fail(Errno::kNoSpc);
        write_address(kQueueDescriptors, ring.descriptor_area());
        write_address(kQueueDriver, ring.driver_area());
        write_address(kQueueDevice, ring.device_area());
        common_.write<uint16_t>(kQueueEnable, 1);
        return {};
    }
    void notify(uint16_t queue) override { notify_.write<uint16_t>(notify_offset_[queue], queue); }

    void read_config(size_t offset, std::span<std::byte> destination) override {
        // Read again if the device changed it meanwhile (4.1.4.3.1); not for ever.
        for (unsigned attempt = 0; attempt < 16; attempt++) {
            uint8_t generation = common_.read<uint8_t>(kConfigGeneration);
            for (size_t i = 0; i < destination.size(); i++) {
                bool inside = offset + i < device_length_;
                destination[i] = inside ? device_.read<std::byte>(offset + i) : std::byte{0};
            }
            if (common_.read<uint8_t>(kConfigGeneration) == generation) return;
        }
    }

    // MSI-X (PCI 3.0, 6.8.2): entry 0 serves all queues and configuration changes.
    Result<void> connect(void (*handler)(void*), void* context) override {
        uint8_t vector = TRY(arch::allocate_vector(handler, context));
        uint64_t message = arch::msi_address(0);
        constexpr uint16_t kEnable = 1 << 15, kMaskAll = 1 << 14;
        auto control_at = static_cast<uint8_t>(msix_.capability + 2);
        auto control = static_cast<uint16_t>(config_.read16(address_, control_at) & ~kMaskAll);
        config_.write16(address_, control_at, control | kEnable | kMaskAll);
        msix_table_.write<uint32_t>(0, static_cast<uint32_t>(message));
        msix_table_.write<uint32_t>(4, static_cast<uint32_t>(message >> 32));
        msix_table_.write<uint32_t>(8, arch::msi_data(vector));
        msix_table_.write<uint32_t>(12, 0);  // not masked
        config_.write16(address_, control_at, control | kEnable);
        common_.write<uint16_t>(kConfigMsixVector, 0);
        if (common_.read<uint16_t>(kConfigMsixVector) == kNoVector) return fail(Errno::kNoSpc);
        return {};
    }
    void acknowledge() override {}  // MSI-X needs none

  private:
    static constexpr uint16_t kMaximumQueues = 64;

    Result<Registers> window(const pci::VirtioRegion& region) {
        PhysAddr bar = TRY(pci::memory_bar(config_, address_, region.bar));
        uint32_t length = region.length < kMaximumWindow ? region.length : kMaximumWindow;
        return Registers(TRY(arch::map_mmio(bar + region.offset, length)));
    }
    void write_address(size_t offset, PhysAddr address) {
        common_.write<uint32_t>(offset, static_cast<uint32_t>(address.value()));
        common_.write<uint32_t>(offset + 4, static_cast<uint32_t>(address.value() >> 32));
    }

    pci::ConfigSpace& config_;
    pci::Address address_;
    uint32_t type_;
    pci::MsiX msix_;
    Registers common_, notify_, device_, msix_table_;
    uint32_t notify_length_ = 0, notify_multiplier_ = 0, device_length_ = 0;
    uint32_t notify_offset_[kMaximumQueues] = {};
};

}  // namespace

Result<std::unique_ptr<Transport>> make_pci_transport(pci::ConfigSpace& config, const pci::Function& function) {
    uint32_t type = pci_device_type(function);
    if (type == 0) return fail(Errno::kNoDev);
    pci::VirtioLayout layout = TRY(pci::find_virtio_layout(config, function.address));
    auto msix = pci::find_msix(config, function.address);
    if (!msix) {
        klog::warn("virtio: PCI device {}:{} has no MSI-X", function.address.bus, function.address.device);
        return fail(Errno::kNoDev);
    }
    pci::enable(config, function.address);
    auto transport = TRY(core::make<PciTransport>(config, function.address, type, *msix));
    TRY(transport->map(layout));
    return transport;
}

}  // namespace drivers::virtio
