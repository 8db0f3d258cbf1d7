// ACPI tables, parsed from bytes: pure functions, tested on the host. References: ACPI 6.4, chapters 5 and 19-20.
//
// No AML is interpreted. Two things are found in the DSDT and SSDTs by a bounded byte parse: the \_S5 package
// and the resources of virtio-mmio devices (_HID "LNRO0005"), which QEMU's microvm describes nowhere else.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "core/result.h"
#include "core/types.h"

namespace drivers::acpi {

using Bytes = std::span<const std::byte>;

// A small array of fixed capacity; what does not fit is dropped and counted.
template <typename T, size_t kCapacity>
struct FixedList {
    std::array<T, kCapacity> items{};
    size_t count = 0;
    size_t dropped = 0;
    void add(const T& item) {
        if (count < kCapacity) items[count++] = item;
        else dropped++;
    }
    const T* begin() const { return items.data(); }
    const T* end() const { return items.data() + count; }
    const T& operator[](size_t index) const { return items[index]; }
};

// Root pointer (5.2.5.3). EINVAL: wrong signature or checksum, or too short.
struct Rsdp {
    PhysAddr rsdt;
    PhysAddr xsdt;  // null in revision 0
};
Result<Rsdp> parse_rsdp(Bytes bytes);

inline constexpr size_t kTableHeaderSize = 36;
// The table that starts `bytes`, cut to its own length. EINVAL: signature, length or checksum is wrong.
Result<Bytes> check_table(Bytes bytes, std::string_view signature);
// The signature of any table ("FACP"); empty if there are fewer than four bytes.
std::string_view signature_of(Bytes bytes);

// Generic address structure (5.2.3.2).
struct GenericAddress {
    enum class Space : uint8_t { kMemory = 0, kPort = 1 } space = Space::kMemory;
    uint64_t address = 0;
    explicit operator bool() const { return address != 0; }
};

// Fixed ACPI description table (5.2.9).
struct Fadt {
    PhysAddr dsdt;
    uint16_t pm1a_control = 0, pm1b_control = 0;  // ports; 0: none
    uint16_t pm_timer = 0;                        // port; 0: none
    bool pm_timer_32bit = false;
    bool hardware_reduced = false;
    GenericAddress reset_register;  // null: none
    uint8_t reset_value = 0;
    GenericAddress sleep_control;  // hardware-reduced only
};
Result<Fadt> parse_fadt(Bytes bytes);

// Multiple APIC description table (5.2.12).
enum class Trigger : uint8_t { kEdge, kLevel };
enum class Polarity : uint8_t { kHigh, kLow };
struct IoApicEntry {
    PhysAddr address;
    uint32_t gsi_base = 0;
};
struct InterruptOverride {
    uint8_t irq = 0;
    uint32_t gsi = 0;
    Trigger trigger = Trigger::kEdge;
    Polarity polarity = Polarity::kHigh;
};
struct Madt {
    PhysAddr local_apic;
    FixedList<uint32_t, 64> processors;  // enabled ones, in table order
    FixedList<IoApicEntry, 8> io_apics;
    FixedList<InterruptOverride, 16> overrides;
};
// EINVAL also if an entry reaches past the table; entries before it are lost too.
Result<Madt> parse_madt(Bytes bytes);

// PCI express memory-mapped configuration (PCI Firmware 3.0, 4.1.2): the first segment. HPET base address.
struct Mcfg {
    PhysAddr base;
    uint8_t first_bus = 0, last_bus = 0;
};
Result<Mcfg> parse_mcfg(Bytes bytes);
Result<PhysAddr> parse_hpet(Bytes bytes);

// SLP_TYPa and SLP_TYPb of the \_S5 package (7.4.2), from the bytes of a DSDT or SSDT.
struct SleepTypes {
    uint8_t a = 0, b = 0;
};
std::optional<SleepTypes> find_s5(Bytes aml);

struct VirtioMmioSlot {
    PhysAddr address;
    uint32_t size = 0;
    uint32_t gsi = 0;
    Trigger trigger = Trigger::kLevel;
    Polarity polarity = Polarity::kHigh;
};
using VirtioMmioSlots = FixedList<VirtioMmioSlot, 32>;
void find_virtio_mmio(Bytes aml, VirtioMmioSlots& slots);

// Where tables lie. `view` yields the bytes at an address, or nothing if they are not all readable memory.
class PhysicalMemory {
  public:
    virtual Bytes view(PhysAddr address, size_t size) const = 0;

  protected:
    ~PhysicalMemory() = default;
};

// All that the tables told. What is absent or broken (then a line was logged) is null.
struct Platform {
    bool present = false;  // a valid root pointer was found
    std::optional<Fadt> fadt;
    std::optional<Madt> madt;
    std::optional<Mcfg> mcfg;
    std::optional<PhysAddr> hpet;
    std::optional<SleepTypes> s5;
    VirtioMmioSlots virtio_mmio;
};
// `rsdp` null: looked for in the extended BIOS data area and the BIOS segment (5.2.5.1).
Platform read_platform(const PhysicalMemory& memory, PhysAddr rsdp);

}  // namespace drivers::acpi
