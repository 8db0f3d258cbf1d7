// Interrupt vectors of devices, and how they are delivered.
#pragma once

#include <cstdint>

#include "core/result.h"
#include "core/types.h"

namespace arch {

using InterruptHandler = void (*)(void* context);

// Vectors 0x30 to 0xdf are for devices. The handler runs with IF = 0 on whichever processor took the interrupt;
// the local APIC's EOI follows its return. ENOSPC when all are taken.
Result<uint8_t> allocate_vector(InterruptHandler handler, void* context);

// MSI message for `vector` to processor `cpu` (SDM vol. 3, 11.11): fixed delivery, edge.
uint64_t msi_address(unsigned cpu);
inline uint32_t msi_data(uint8_t vector) { return vector; }
uint32_t apic_id_of(unsigned cpu);

// Maps device registers uncached into the kernel; never unmapped.
Result<volatile void*> map_mmio(PhysAddr address, size_t size);

}  // namespace arch
