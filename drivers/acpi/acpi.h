// What the machine's ACPI tables say, after discover_platform() (drivers/devices.h).
#pragma once

#include "drivers/acpi/tables.h"

namespace drivers::acpi {

// Everything that was found; constant after discover_platform().
const Platform& platform();

// The 3.579545 MHz ACPI timer: its port (0: none) and whether it counts 32 bits, else 24.
uint16_t pm_timer_port();
bool pm_timer_is_32bit();
// Registers of the high-precision event timer; null: none.
PhysAddr hpet_address();

// Called by discover_platform().
void discover(PhysAddr rsdp);

}  // namespace drivers::acpi
