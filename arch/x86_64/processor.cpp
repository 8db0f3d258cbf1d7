#include "arch/x86_64/processor.h"

#include "arch/x86_64/layout.h"
#include "arch/x86_64/registers.h"
#include "arch/x86_64/top_table.h"

namespace arch {

namespace {

Processor* processors[kMaxCpus];
uint64_t kernel_entries[512];
// Per processor: slots 509 and 510, for confined and isolated tables.
uint64_t processor_entries[kMaxCpus][2][2];

}  // namespace

Processor* processor_of(unsigned cpu) { return cpu < kMaxCpus ? processors[cpu] : nullptr; }
void set_processor_of(unsigned cpu, Processor* processor) { processors[cpu] = processor; }

unsigned this_cpu() { return processor().number; }

uint64_t kernel_top_entry(unsigned slot) { return kernel_entries[slot]; }
void set_kernel_top_entry(unsigned slot, uint64_t entry) { kernel_entries[slot] = entry; }

uint64_t processor_top_entry(unsigned slot, unsigned cpu, bool isolated) {
    return processor_entries[cpu][slot - kProcessorSlot][isolated];
}
void set_processor_top_entry(unsigned slot, unsigned cpu, bool isolated, uint64_t entry) {
    processor_entries[cpu][slot - kProcessorSlot][isolated] = entry;
}

void load_top_table(PhysAddr table) {
    processor().loaded_top_table = table.value();
    write_cr3(table.value());
}
void load_kernel_table() { load_top_table(PhysAddr(processor().kernel_top_table)); }

}  // namespace arch

core::HeldLocks& core::held_locks() { return arch::processor().held_locks; }
