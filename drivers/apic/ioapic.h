// I/O APICs: routes global system interrupts (GSIs) to vectors. Reference: 82093AA data sheet, ACPI 6.4 5.2.12.
#pragma once

#include "drivers/acpi/tables.h"

namespace drivers::ioapic {

// Maps and masks all inputs of all I/O APICs, and both 8259s. Call once, after discover_platform().
void initialize();

// Delivers `gsi` as `vector` to processor `cpu`. A level-triggered interrupt comes again at once if the device
// is not acknowledged before its handler returns. ENODEV: no I/O APIC has that input.
Result<void> route(uint32_t gsi, uint8_t vector, acpi::Trigger trigger, acpi::Polarity polarity, unsigned cpu);

// The GSI behind an ISA interrupt number and how it is signalled (interrupt source overrides).
acpi::InterruptOverride isa_interrupt(uint8_t irq);

}  // namespace drivers::ioapic
