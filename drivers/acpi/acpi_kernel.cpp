#include "drivers/acpi/acpi.h"

#include "mm/frames.h"

namespace drivers::acpi {
namespace {

// Constant-initialised: written once on the boot processor before the others start.
constinit Platform g_platform;

class DirectMap final : public PhysicalMemory {
  public:
    Bytes view(PhysAddr address, size_t size) const override {
        // Firmware puts its tables below 4 GiB, which the direct map covers whether it is RAM or not.
        constexpr uint64_t kLimit = uint64_t{1} << 32;
        if (address.is_null() || address.value() >= kLimit || size > kLimit - address.value()) return {};
        return {mm::to_pointer<const std::byte>(address), size};
    }
};

}  // namespace

const Platform& platform() { return g_platform; }
uint16_t pm_timer_port() { return g_platform.fadt ? g_platform.fadt->pm_timer : 0; }
bool pm_timer_is_32bit() { return g_platform.fadt && g_platform.fadt->pm_timer_32bit; }
PhysAddr hpet_address() { return g_platform.hpet.value_or(PhysAddr(0)); }

void discover(PhysAddr rsdp) { g_platform = read_platform(DirectMap{}, rsdp); }

}  // namespace drivers::acpi
