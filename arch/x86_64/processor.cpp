#include "arch/x86_64/processor.h"

#include <utility>

#include "arch/x86_64/armed.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/page_ops.h"
#include "arch/x86_64/pcid.h"
#include "arch/x86_64/pkru.h"
#include "arch/x86_64/registers.h"
#include "arch/x86_64/top_table.h"
#include "core/weakness.h"

namespace arch {

namespace {

Processor* processors[kMaxCpus];
uint64_t kernel_entries[512];
// Per processor: slots 509 and 510, by model.
uint64_t processor_entries[kMaxCpus][2][kModelCount];
void (*exit_stubs[kModelCount])(void* frame);

}  // namespace

Processor* processor_of(unsigned cpu) { return cpu < kMaxCpus ? processors[cpu] : nullptr; }
void set_processor_of(unsigned cpu, Processor* processor) { processors[cpu] = processor; }

unsigned this_cpu() { return processor().number; }

uint64_t kernel_top_entry(unsigned slot) { return kernel_entries[slot]; }
void set_kernel_top_entry(unsigned slot, uint64_t entry) { kernel_entries[slot] = entry; }

uint64_t processor_top_entry(unsigned slot, unsigned cpu, Model model) {
    return processor_entries[cpu][slot - kProcessorSlot][static_cast<unsigned>(model)];
}
void set_processor_top_entry(unsigned slot, unsigned cpu, Model model, uint64_t entry) {
    processor_entries[cpu][slot - kProcessorSlot][static_cast<unsigned>(model)] = entry;
}
void set_exit_stub(Model model, void (*stub)(void* frame)) { exit_stubs[static_cast<unsigned>(model)] = stub; }

namespace {

// Programs in ring 0 read the exposed slot: nothing of the program before may stay there.
void wipe_exposed_pages(Processor& self) {
    if (core::weakened(core::Weakness::kIstWipe)) return;
    // SAFETY: the running processor's own pages; nobody uses them while the kernel runs.
    zero_words(reinterpret_cast<void*>(EXPOSED_BASE + EXPOSED_SCRATCH), EXPOSED_SCRATCH_WORDS);
    if (!std::exchange(self.own_stacks_used, false)) return;
    for (uint64_t stack : {EXPOSED_IST_NMI, EXPOSED_IST_DF, EXPOSED_IST_MC, EXPOSED_IST_DB}) {
        zero_words(reinterpret_cast<void*>(EXPOSED_BASE + stack), core::kPageSize / sizeof(uint64_t));
    }
}

// `space` null: the kernel's own table.
[[gnu::noinline]] void load_under_pcid(uint64_t table, Model model, const TlbState* space) {
    constexpr uint64_t kKeep = uint64_t{1} << 63;  // of CR3: nothing is flushed (SDM vol. 3, 4.10.4.1)
    Pcids::Choice choice = space ? pcids().load(space->id, model, space->generation.load(std::memory_order_seq_cst))
                                 : pcids().load_kernel_table();
    write_cr3_of_another_pcid(table | choice.pcid | (choice.keeps ? kKeep : 0));
}

void load(uint64_t table, Model model, const TlbState* space) {
    processor().loaded_top_table = table;
    if (uses_pcids()) [[unlikely]] load_under_pcid(table, model, space);
    else write_cr3(table);
}

}  // namespace

void load_top_table(PhysAddr table, Model model, const TlbState& space) {
    Processor& self = processor();
    wipe_exposed_pages(self);
    if (model == self.model) [[likely]] return load(table.value(), model, &space);
    // The kernel's key must be open before a table is loaded in which keys govern the kernel's pages.
    uint32_t pkru = program_pkru();
    if (model == Model::kIsolated && has_protection_keys()) write_pkru(0);
    load(table.value(), model, &space);
    self.model = model;
    self.exit_to_program = exit_stubs[static_cast<unsigned>(model)];
    set_program_pkru(pkru);
}

// Keys do not govern the kernel's pages there, so PKRU stays as it is.
void load_kernel_table() { load(processor().kernel_top_table, Model::kConfined, nullptr); }

}  // namespace arch

core::HeldLocks& core::held_locks() {
    static HeldLocks before;  // the log's, until the first processor has its page
    return arch::processor_of(0) ? arch::processor().held_locks : before;
}
