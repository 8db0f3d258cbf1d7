// PCI: configuration space, enumeration, capabilities. References: PCI Local Bus 3.0, PCI Express Base 5.0.
//
// Firmware has assigned the base address registers (SeaBIOS runs on q35 and pc before a PVH kernel).
// Nothing here is locked: used during initialize() on one processor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "core/result.h"
#include "core/types.h"

namespace drivers::pci {

struct Address {
    uint8_t bus = 0, device = 0, function = 0;
    bool operator==(const Address&) const = default;
};

// Configuration space. Offsets are below 256; 16-bit accesses are 2-aligned, 32-bit ones 4-aligned. Absent
// functions read as all ones.
class ConfigSpace {
  public:
    virtual uint32_t read32(Address function, uint8_t offset) = 0;
    virtual void write32(Address function, uint8_t offset, uint32_t value) = 0;
    virtual void write16(Address function, uint8_t offset, uint16_t value) = 0;
    uint16_t read16(Address function, uint8_t offset) {
        return static_cast<uint16_t>(read32(function, offset & 0xfc) >> (8 * (offset & 2)));
    }
    uint8_t read8(Address function, uint8_t offset) {
        return static_cast<uint8_t>(read32(function, offset & 0xfc) >> (8 * (offset & 3)));
    }

  protected:
    ~ConfigSpace() = default;
};

// Ports 0xcf8 and 0xcfc; present() tells whether anything answers there.
ConfigSpace& port_config_space();
bool port_config_space_present();

struct Function {
    Address address;
    uint16_t vendor = 0, device = 0;
    uint8_t base_class = 0, sub_class = 0;
    uint16_t subsystem = 0;
};
// Visits the functions of bus 0 and of all buses behind bridges; each bus once, even if bridges form a loop.
void enumerate(ConfigSpace& config, void (*found)(void* context, const Function& function), void* context);

// A memory base address register as firmware set it. ENODEV: an I/O BAR, an unassigned one or none.
Result<PhysAddr> memory_bar(ConfigSpace& config, Address function, unsigned index);

// Offset of the next capability with this id after `previous` (0: the first). 0: none. Broken lists end.
uint8_t find_capability(ConfigSpace& config, Address function, uint8_t id, uint8_t previous = 0);
// A 256-byte space holds no more capabilities than this: the bound on a looping list.
inline constexpr unsigned kMaximumCapabilities = 48;
inline constexpr uint8_t kCapabilityVendor = 0x09, kCapabilityMsiX = 0x11;

// Lets the function decode memory and master the bus; no legacy interrupt line.
void enable(ConfigSpace& config, Address function);

// MSI-X (PCI 3.0, 6.8.2).
struct MsiX {
    uint8_t capability = 0;
    unsigned table_bar = 0;
    uint32_t table_offset = 0;
    uint16_t vectors = 0;
};
std::optional<MsiX> find_msix(ConfigSpace& config, Address function);

// Virtio's vendor capabilities (virtio 1.2, 4.1.4).
struct VirtioRegion {
    uint8_t bar = 0;
    uint32_t offset = 0, length = 0;
    explicit operator bool() const { return length != 0; }
};
struct VirtioLayout {
    VirtioRegion common, notify, isr, device;
    uint32_t notify_multiplier = 0;
};
// EINVAL: the common, notify or ISR structure is missing or too small (a legacy-only or broken device).
Result<VirtioLayout> find_virtio_layout(ConfigSpace& config, Address function);

}  // namespace drivers::pci
