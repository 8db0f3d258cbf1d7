// The local APIC: identity, end of interrupt, inter-processor interrupts, one-shot timer. The memory-mapped xAPIC,
// but x2APIC where the firmware has switched it on (SDM vol. 3, chapter 11).
#pragma once

#include <cstdint>

#include "core/types.h"

namespace arch {

// Vectors of the kernel's own interrupts; devices get 0x30 to 0xdf.
inline constexpr uint8_t kVectorTimer = 0xf0, kVectorReschedule = 0xf1, kVectorFlush = 0xf2,
                         kVectorSpurious = 0xff;

// Enables the running processor's local APIC. The first call maps the registers.
void initialize_local_apic();
uint32_t local_apic_id();
void end_of_interrupt();
// True if `vector` is really in service: false for an `int n` that a program executed.
bool interrupt_in_service(uint8_t vector);
void send_ipi(uint32_t apic_id, uint8_t vector);
// INIT, SIPI, SIPI to start a processor at physical address page * 4096. Returns after the second SIPI.
void start_processor(uint32_t apic_id, uint8_t page);

// INIT: it waits for a start from now on, whatever it did.
void park_processor(uint32_t apic_id);

// Raises kVectorTimer on this processor once, `delta_ns` from now (at least 1 ns), or never again (kNever).
void set_timer(Nanoseconds delta_ns);
// Ticks of the timer's counter since it was last loaded, for calibration; its rate is timer_hz().
uint32_t timer_start_counting();
uint32_t timer_count();
uint64_t timer_hz();

}  // namespace arch
