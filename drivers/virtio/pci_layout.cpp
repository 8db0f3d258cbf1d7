// What a virtio device's configuration space says (virtio 1.2, 4.1).
#include "drivers/pci/pci.h"
#include "drivers/virtio/discovery.h"

namespace drivers::pci {

Result<VirtioLayout> find_virtio_layout(ConfigSpace& config, Address function) {
    enum : uint8_t { kCommon = 1, kNotify = 2, kIsr = 3, kDevice = 4 };
    VirtioLayout layout;
    uint8_t at = 0;
    for (unsigned i = 0; i < kMaximumCapabilities; i++) {
        at = find_capability(config, function, kCapabilityVendor, at);
        if (at == 0) break;
        uint32_t header = config.read32(function, at);
        auto length = static_cast<uint8_t>(header >> 16);
        auto type = static_cast<uint8_t>(header >> 24);
        if (length < 16 || at > 0x100 - 16) continue;
        VirtioRegion region{config.read8(function, static_cast<uint8_t>(at + 4)),
                            config.read32(function, static_cast<uint8_t>(at + 8)),
                            config.read32(function, static_cast<uint8_t>(at + 12))};
        // Reserved BAR numbers are to be ignored (4.1.4.2), and so is what wraps around 32 bits.
        if (region.bar > 5 || region.offset + uint64_t{region.length} > ~uint32_t{0}) continue;
        // The first of each type is the one the device prefers.
        if (type == kCommon && !layout.common) layout.common = region;
        if (type == kIsr && !layout.isr) layout.isr = region;
        if (type == kDevice && !layout.device) layout.device = region;
        if (type == kNotify && !layout.notify && length >= 20 && at <= 0x100 - 20) {
            layout.notify = region;
            layout.notify_multiplier = config.read32(function, static_cast<uint8_t>(at + 16));
        }
    }
    if (layout.common.length < 56 || layout.notify.length < 2 || layout.isr.length < 1) {
        return fail(Errno::kInval);
    }
    return layout;
}

}  // namespace drivers::pci

namespace drivers::virtio {

uint32_t pci_device_type(const pci::Function& function) {
    // 4.1.2: modern devices are 0x1040 + type; transitional ones carry the type as subsystem id.
    if (function.vendor != 0x1af4) return 0;
    if (function.device >= 0x1040 && function.device <= 0x107f) return function.device - 0x1040u;
    if (function.device >= 0x1000 && function.device <= 0x103f) return function.subsystem;
    return 0;
}

}  // namespace drivers::virtio
