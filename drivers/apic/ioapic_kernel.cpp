#include "drivers/apic/ioapic.h"

#include <array>

#include "arch/x86_64/interrupts.h"
#include "core/lock.h"
#include "core/log.h"
#include "drivers/acpi/acpi.h"
#include "drivers/registers.h"

namespace drivers::ioapic {
namespace {

// Indirect registers (82093AA, 3.1): select at 0x00, data window at 0x10.
constexpr size_t kSelect = 0x00, kWindow = 0x10;
constexpr uint32_t kVersion = 0x01, kRedirection = 0x10;
constexpr uint32_t kMasked = 1u << 16, kLevel = 1u << 15, kActiveLow = 1u << 13;

struct IoApic {
    Registers registers;
    uint32_t gsi_base = 0;
    uint32_t inputs = 0;

    uint32_t read(uint32_t index) const {
        registers.write<uint32_t>(kSelect, index);
        return registers.read<uint32_t>(kWindow);
    }
    void write(uint32_t index, uint32_t value) const {
        registers.write<uint32_t>(kSelect, index);
        registers.write<uint32_t>(kWindow, value);
    }
};

constinit core::Spinlock g_lock{core::Rank::kDevice};
constinit std::array<IoApic, 8> g_io_apics{};
constinit size_t g_count = 0;

}  // namespace

void initialize() {
    out8(0x21, 0xff);  // both 8259s: all lines masked
    out8(0xa1, 0xff);
    acpi::FixedList<acpi::IoApicEntry, 8> entries;
    if (acpi::platform().madt) entries = acpi::platform().madt->io_apics;
    else entries.add({PhysAddr(0xfec0'0000), 0});  // the architectural default (microvm without ACPI)
    for (const acpi::IoApicEntry& entry : entries) {
        auto window = arch::map_mmio(entry.address, 0x20);
        if (!window) {
            klog::warn("ioapic: cannot map {}", entry.address);
            continue;
        }
        IoApic io_apic{Registers(*window), entry.gsi_base, 0};
        io_apic.inputs = ((io_apic.read(kVersion) >> 16) & 0xff) + 1;
        // Inputs are masked after reset and firmware masks what it used (PVH, ACPI 6.4 5.8.1), but an unmasked
        // one would deliver a vector that is not ours: look at each.
        for (uint32_t input = 0; input < io_apic.inputs; input++) {
            if (!(io_apic.read(kRedirection + 2 * input) & kMasked)) io_apic.write(kRedirection + 2 * input, kMasked);
        }
        g_io_apics[g_count++] = io_apic;
        klog::debug("ioapic: {} at {}, inputs {} to {}", g_count - 1, entry.address, entry.gsi_base,
                    entry.gsi_base + io_apic.inputs - 1);
    }
}

Result<void> route(uint32_t gsi, uint8_t vector, acpi::Trigger trigger, acpi::Polarity polarity, unsigned cpu) {
    core::SpinGuard guard(g_lock);
    for (size_t i = 0; i < g_count; i++) {
        const IoApic& io_apic = g_io_apics[i];
        if (gsi < io_apic.gsi_base || gsi - io_apic.gsi_base >= io_apic.inputs) continue;
        uint32_t index = kRedirection + 2 * (gsi - io_apic.gsi_base);
        uint32_t low = vector;
        if (trigger == acpi::Trigger::kLevel) low |= kLevel;
        if (polarity == acpi::Polarity::kLow) low |= kActiveLow;
        io_apic.write(index, kMasked);
        io_apic.write(index + 1, arch::apic_id_of(cpu) << 24);
        io_apic.write(index, low);
        return {};
    }
    return fail(Errno::kNoDev);
}

acpi::InterruptOverride isa_interrupt(uint8_t irq) {
    if (acpi::platform().madt) {
        for (const acpi::InterruptOverride& entry : acpi::platform().madt->overrides) {
            if (entry.irq == irq) return entry;
        }
    }
    return {irq, irq, acpi::Trigger::kEdge, acpi::Polarity::kHigh};
}

}  // namespace drivers::ioapic
