// Ends the machine. Each way is tried in turn; the next one follows if the machine is still there after a while.
#include "arch/x86_64/armed.h"
#include "drivers/acpi/acpi.h"
#include "drivers/devices.h"
#include "drivers/registers.h"
#include "drivers/serial.h"
#include "mm/frames.h"

namespace drivers {
namespace {

// The hypervisor stops the processor some time after the register write.
void wait_for_the_end() {
    for (unsigned i = 0; i < 3'000'000; i++) cpu_relax();
}

void write_register(const acpi::GenericAddress& target, uint8_t value) {
    if (target.space == acpi::GenericAddress::Space::kPort) {
        if (target.address <= 0xffff) out8(static_cast<uint16_t>(target.address), value);
    } else if (target.address < (uint64_t{1} << 32)) {
        Registers(mm::to_pointer(PhysAddr(target.address))).write<uint8_t>(0, value);
    }
}

// PM1 control (ACPI 6.4, 4.8.3.2): SLP_TYP in bits 10 to 12, SLP_EN is bit 13.
void sleep_by_pm1(const acpi::Fadt& fadt, acpi::SleepTypes s5) {
    auto control = [](uint16_t port, uint8_t type) {
        uint16_t kept = in16(port) & static_cast<uint16_t>(~0x3c00u);
        out16(port, static_cast<uint16_t>(kept | (type << 10) | (1u << 13)));
    };
    control(fadt.pm1a_control, s5.a);
    if (fadt.pm1b_control) control(fadt.pm1b_control, s5.b);
    wait_for_the_end();
}

// Sleep control of hardware-reduced ACPI (4.8.3.7): SLP_TYP in bits 2 to 4, SLP_EN is bit 5.
void sleep_by_control_register(const acpi::Fadt& fadt, acpi::SleepTypes s5) {
    write_register(fadt.sleep_control, static_cast<uint8_t>((s5.a << 2) | (1u << 5)));
    wait_for_the_end();
}

}  // namespace

void power_off() {
    serial_drain();
    const acpi::Platform& platform = acpi::platform();
    if (platform.fadt) {
        const acpi::Fadt& fadt = *platform.fadt;
        if (platform.s5 && fadt.pm1a_control) sleep_by_pm1(fadt, *platform.s5);
        if (platform.s5 && fadt.sleep_control) sleep_by_control_register(fadt, *platform.s5);
        if (fadt.reset_register) {
            write_register(fadt.reset_register, fadt.reset_value);
            wait_for_the_end();
        }
    }
    // SAFETY: an exception without a descriptor table is a shutdown cycle (SDM vol. 3, 6.15, interrupt 8): the
    // machine resets and nothing runs after it.
    struct [[gnu::packed]] {
        uint16_t limit = 0;
        uint64_t base = 0;
    } none;
    arch::load_idt(&none);
    asm volatile("int3");
    for (;;) cpu_relax();
}

}  // namespace drivers
