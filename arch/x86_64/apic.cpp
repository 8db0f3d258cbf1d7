#include "arch/x86_64/apic.h"

#include "arch/x86_64/armed.h"
#include "arch/x86_64/interrupts.h"
#include "arch/x86_64/processor.h"
#include "arch/x86_64/registers.h"
#include "core/panic.h"

namespace arch {

namespace {

// Register offsets in the xAPIC page; x2APIC MSRs are 0x800 + offset / 16 (SDM vol. 3, table 11-6).
constexpr uint32_t kId = 0x20, kEoi = 0xb0, kSpurious = 0xf0, kInService = 0x100, kIcrLow = 0x300, kIcrHigh = 0x310,
                   kLvtTimer = 0x320, kLvtLint0 = 0x350, kLvtLint1 = 0x360, kLvtError = 0x370,
                   kInitialCount = 0x380, kCurrentCount = 0x390, kDivide = 0x3e0;
constexpr uint64_t kBaseEnable = 1 << 11, kBaseX2Apic = 1 << 10;
constexpr uint32_t kMasked = 1 << 16, kDeliveryPending = 1 << 12;

volatile uint32_t* registers = nullptr;  // null: x2APIC

uint32_t read(uint32_t offset) {
    // SAFETY: `registers` is the APIC page, mapped uncached; the MSRs exist where x2APIC is on.
    if (registers) return registers[offset / 4];
    return static_cast<uint32_t>(read_msr(kMsrX2ApicBase + offset / 16));
}
void write(uint32_t offset, uint32_t value) {
    if (registers) registers[offset / 4] = value;
    else write_msr(kMsrX2ApicBase + offset / 16, value);
}

void send(uint32_t apic_id, uint32_t command) {
    if (!registers) return write_msr(kMsrX2ApicBase + kIcrLow / 16, uint64_t{apic_id} << 32 | command);
    while (read(kIcrLow) & kDeliveryPending) cpu_pause();
    write(kIcrHigh, apic_id << 24);
    write(kIcrLow, command);
    while (read(kIcrLow) & kDeliveryPending) cpu_pause();
}

void delay_microseconds(uint64_t microseconds) {
    uint32_t start = timer_start_counting();
    uint64_t ticks = timer_hz() / 1'000'000 * microseconds;
    while (start - timer_count() < ticks) cpu_pause();
}

}  // namespace

void initialize_local_apic() {
    uint64_t base = read_msr(kMsrApicBase);
    // The memory-mapped registers are cheaper: each WRMSR needs the armed page. x2APIC only if the firmware has
    // switched it on, which it must for more than 255 processors; all have the same mode then.
    if (base & kBaseX2Apic) {
        write_msr(kMsrApicBase, base | kBaseEnable);
    } else {
        write_msr(kMsrApicBase, base | kBaseEnable);
        if (!registers) {
            auto mapped = map_mmio(PhysAddr(base & 0xffff'ffff'f000), 4096);
            if (!mapped) PANIC("no memory to map the local APIC");
            registers = static_cast<volatile uint32_t*>(*mapped);
        }
    }
    write(kSpurious, 0x100 | kVectorSpurious);
    write(kLvtLint0, kMasked);
    write(kLvtLint1, 0x400);  // NMI
    write(kLvtError, kMasked);
    write(kDivide, 0b1011);  // by 1
    write(kLvtTimer, kVectorTimer);
    write(kInitialCount, 0);
}

uint32_t local_apic_id() { return registers ? read(kId) >> 24 : read(kId); }
void end_of_interrupt() { write(kEoi, 0); }
bool interrupt_in_service(uint8_t vector) {
    return read(kInService + vector / 32 * 0x10) >> (vector % 32) & 1;
}
void send_ipi(uint32_t apic_id, uint8_t vector) { send(apic_id, vector); }

void park_processor(uint32_t apic_id) { send(apic_id, 0x4500); }

void start_processor(uint32_t apic_id, uint8_t page) {
    send(apic_id, 0x4500);  // INIT, assert
    delay_microseconds(200);
    for (int i = 0; i < 2; i++) {
        send(apic_id, 0x4600 | page);  // STARTUP
        delay_microseconds(50);
    }
}

// QEMU (TCG) and KVM both count the APIC timer in nanoseconds: hw/intc/apic_common.c, KVM_APIC_BUS_CYCLE_NS.
uint64_t timer_hz() { return 1'000'000'000; }

void set_timer(Nanoseconds delta_ns) {
    if (delta_ns == core::kNever) return write(kInitialCount, 0);
    if (delta_ns > 0xffff'ffff) delta_ns = 0xffff'ffff;  // fires early; the timer queue then sets it again
    write(kInitialCount, delta_ns == 0 ? 1 : static_cast<uint32_t>(delta_ns));
}

uint32_t timer_start_counting() {
    write(kLvtTimer, kMasked | kVectorTimer);
    write(kInitialCount, 0xffff'ffff);
    write(kLvtTimer, kVectorTimer);  // fires 4 s from now unless set_timer() comes first
    return read(kCurrentCount);
}
uint32_t timer_count() { return read(kCurrentCount); }

uint64_t msi_address(unsigned cpu) { return 0xfee0'0000 | uint64_t{apic_id_of(cpu)} << 12; }
uint32_t apic_id_of(unsigned cpu) { return processor_of(cpu)->apic_id; }

}  // namespace arch
