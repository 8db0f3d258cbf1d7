#include "arch/x86_64/interrupts.h"

#include "arch/x86_64/apic.h"
#include "arch/x86_64/interrupt_table.h"
#include "core/lock.h"
#include "core/weakness.h"

namespace arch {

namespace {

constexpr uint8_t kFirstDeviceVector = 0x30, kLastDeviceVector = 0xdf;
struct Entry {
    InterruptHandler handler = nullptr;
    void* context = nullptr;
};
Entry entries[256];
core::Spinlock entries_lock{core::Rank::kDevice};

}  // namespace

Result<uint8_t> allocate_vector(InterruptHandler handler, void* context) {
    core::SpinGuard guard(entries_lock);
    for (unsigned vector = kFirstDeviceVector; vector <= kLastDeviceVector; vector++) {
        if (entries[vector].handler) continue;
        entries[vector].context = context;
        entries[vector].handler = handler;
        return static_cast<uint8_t>(vector);
    }
    return fail(Errno::kNoSpc);
}

void set_vector(uint8_t vector, InterruptHandler handler, void* context) { entries[vector] = {handler, context}; }

bool handle_interrupt(uint8_t vector) {
    if (vector == kVectorSpurious) return true;
    if (!interrupt_in_service(vector) && !core::weakened(core::Weakness::kInServiceCheck)) return false;
    Entry entry = entries[vector];
    if (entry.handler) entry.handler(entry.context);
    end_of_interrupt();
    return true;
}

}  // namespace arch
