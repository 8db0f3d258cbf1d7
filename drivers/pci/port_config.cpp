// Configuration mechanism #1 (PCI 3.0, 3.2.2.3.2).
#include "drivers/pci/pci.h"
#include "drivers/registers.h"

namespace drivers::pci {
namespace {

constexpr uint16_t kAddressPort = 0xcf8, kDataPort = 0xcfc;

class PortConfigSpace final : public ConfigSpace {
  public:
    uint32_t read32(Address function, uint8_t offset) override {
        select(function, offset);
        return in32(kDataPort);
    }
    void write32(Address function, uint8_t offset, uint32_t value) override {
        select(function, offset);
        out32(kDataPort, value);
    }
    void write16(Address function, uint8_t offset, uint16_t value) override {
        select(function, offset);
        out16(kDataPort + (offset & 2), value);
    }

  private:
    static void select(Address function, uint8_t offset) {
        out32(kAddressPort, 0x8000'0000u | uint32_t{function.bus} << 16 | uint32_t{function.device} << 11 |
                                uint32_t{function.function} << 8 | (offset & 0xfcu));
    }
};

constinit PortConfigSpace g_ports;

}  // namespace

ConfigSpace& port_config_space() { return g_ports; }

bool port_config_space_present() {
    out32(kAddressPort, 0x8000'0000u);
    return in32(kAddressPort) == 0x8000'0000u;
}

}  // namespace drivers::pci
