#include "drivers/pci/pci.h"

#include <array>

namespace drivers::pci {
namespace {

// Configuration header offsets (PCI 3.0, 6.1).
constexpr uint8_t kVendor = 0x00, kCommand = 0x04, kStatus = 0x06, kClass = 0x08, kHeaderType = 0x0e, kBar0 = 0x10,
                  kSecondaryBus = 0x19, kSubsystem = 0x2e, kCapabilities = 0x34;
constexpr uint16_t kCommandMemory = 1 << 1, kCommandMaster = 1 << 2, kCommandNoIntx = 1 << 10;
constexpr uint16_t kStatusCapabilities = 1 << 4;
struct Visit {
    ConfigSpace& config;
    void (*found)(void* context, const Function& function);
    void* context;
    std::array<bool, 256> seen{};

    void bus(uint8_t number, unsigned depth) {
        if (seen[number] || depth > 16) return;
        seen[number] = true;
        for (uint8_t device = 0; device < 32; device++) {
            for (uint8_t function = 0; function < 8; function++) {
                bool multi = one({number, device, function}, depth);
                if (function == 0 && !multi) break;
            }
        }
    }

    // Whether the device has further functions.
    bool one(Address address, unsigned depth) {
        uint32_t id = config.read32(address, kVendor);
        if ((id & 0xffff) == 0xffff) return false;
        uint32_t type = config.read32(address, kClass);
        uint8_t header = config.read8(address, kHeaderType);
        Function function{address, static_cast<uint16_t>(id), static_cast<uint16_t>(id >> 16),
                          static_cast<uint8_t>(type >> 24), static_cast<uint8_t>(type >> 16), 0};
        if ((header & 0x7f) == 1) {
            bus(config.read8(address, kSecondaryBus), depth + 1);
        } else {
            function.subsystem = config.read16(address, kSubsystem);
            found(context, function);
        }
        return (header & 0x80) != 0;
    }
};

}  // namespace

void enumerate(ConfigSpace& config, void (*found)(void*, const Function&), void* context) {
    Visit{config, found, context}.bus(0, 0);
}

Result<PhysAddr> memory_bar(ConfigSpace& config, Address function, unsigned index) {
    if (index > 5) return fail(Errno::kNoDev);
    auto offset = static_cast<uint8_t>(kBar0 + 4 * index);
    uint32_t low = config.read32(function, offset);
    if (low & 1) return fail(Errno::kNoDev);
    uint64_t address = low & ~uint32_t{0xf};
    if (((low >> 1) & 3) == 2) {
        if (index == 5) return fail(Errno::kNoDev);
        address |= uint64_t{config.read32(function, static_cast<uint8_t>(offset + 4))} << 32;
    }
    // Beyond 52 bits there is no physical address (SDM vol. 3, 4.1.4).
    if (address == 0 || address >> 52) return fail(Errno::kNoDev);
    return PhysAddr(address);
}

uint8_t find_capability(ConfigSpace& config, Address function, uint8_t id, uint8_t previous) {
    if (!(config.read16(function, kStatus) & kStatusCapabilities)) return 0;
    auto next = static_cast<uint8_t>((previous ? previous + 1 : kCapabilities));
    auto offset = static_cast<uint8_t>(config.read8(function, next) & 0xfc);
    for (unsigned i = 0; i < kMaximumCapabilities && offset >= 0x40; i++) {
        uint32_t header = config.read32(function, offset);
        if ((header & 0xff) == id) return offset;
        offset = static_cast<uint8_t>((header >> 8) & 0xfc);
    }
    return 0;
}

void enable(ConfigSpace& config, Address function) {
    uint16_t command = config.read16(function, kCommand);
    config.write16(function, kCommand, command | kCommandMemory | kCommandMaster | kCommandNoIntx);
}

std::optional<MsiX> find_msix(ConfigSpace& config, Address function) {
    uint8_t capability = find_capability(config, function, kCapabilityMsiX);
    if (capability == 0 || capability > 0xf4) return std::nullopt;
    uint32_t table = config.read32(function, static_cast<uint8_t>(capability + 4));
    uint16_t control = config.read16(function, static_cast<uint8_t>(capability + 2));
    return MsiX{capability, table & 7, table & ~uint32_t{7}, static_cast<uint16_t>((control & 0x7ff) + 1)};
}

}  // namespace drivers::pci
