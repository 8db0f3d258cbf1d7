#include "boot/processors.h"

#include <cstring>

#include "arch/x86_64/apic.h"
#include "arch/x86_64/armed.h"
#include "arch/x86_64/clock.h"
#include "arch/x86_64/fpu.h"
#include "arch/x86_64/interrupts.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/page_table.h"
#include "arch/x86_64/pcid.h"
#include "arch/x86_64/processor.h"
#include "arch/x86_64/registers.h"
#include "arch/x86_64/top_table.h"
#include "boot/page_tables.h"
#include "boot/trampoline.h"
#include "core/log.h"
#include "core/panic.h"
#include "mm/frames.h"
#include "mm/kernel_stacks.h"
#include "mpk/exposed_slot.h"
#include "sched/scheduler.h"

namespace boot {

namespace {

extern "C" {
// boot/pvh.S. boot_top is linked at its physical address.
extern const char trampoline_start[], trampoline_end[], trampoline_top_table[], trampoline_stack[],
    trampoline_number[];
extern uint64_t boot_top[];
[[noreturn]] void processor_main(unsigned number);
}

// A word of the trampoline's copy.
template <typename T>
T& trampoline_word(const char* symbol) {
    auto page = static_cast<char*>(mm::to_pointer(core::PhysAddr(TRAMPOLINE_PAGE * core::kPageSize)));
    return *reinterpret_cast<T*>(page + (symbol - trampoline_start));
}

Result<void> start_processor(unsigned number, uint32_t apic_id) {
    core::Pfn page = TRY(mm::allocate_frame(mm::Fill::kZeroed, mm::Frame::State::kKernel));
    auto processor = new (mm::to_pointer(page)) arch::Processor();
    processor->number = number;
    processor->apic_id = apic_id;
    TRY(mpk::build_processor_slots(number, page));
    processor->kernel_top_table = TRY(make_kernel_table(number)).value();
    arch::set_processor_of(number, processor);
    auto stack = static_cast<char*>(TRY(mm::allocate_kernel_stack()));

    // The trampoline's table: the first one of the boot, which maps low memory at its own address, and this
    // processor's view of the kernel half.
    auto bootstrap = static_cast<uint64_t*>(mm::to_pointer(core::PhysAddr(reinterpret_cast<uint64_t>(boot_top))));
    auto own = static_cast<uint64_t*>(mm::to_pointer(core::PhysAddr(processor->kernel_top_table)));
    std::memcpy(bootstrap + arch::kFirstKernelSlot, own + arch::kFirstKernelSlot, 256 * sizeof(uint64_t));
    std::memcpy(mm::to_pointer(core::PhysAddr(TRAMPOLINE_PAGE * core::kPageSize)), trampoline_start,
                static_cast<size_t>(trampoline_end - trampoline_start));
    trampoline_word<uint64_t>(trampoline_top_table) = reinterpret_cast<uint64_t>(boot_top);
    trampoline_word<uint64_t>(trampoline_stack) = reinterpret_cast<uint64_t>(stack) + arch::kKernelStackSize;
    trampoline_word<uint64_t>(trampoline_number) = number;

    arch::start_processor(apic_id, TRAMPOLINE_PAGE);
    Nanoseconds deadline = arch::now_ns() + 1'000'000'000;
    while (!processor->online.load(std::memory_order_acquire)) {
        if (arch::now_ns() > deadline) return fail(Errno::kTimedOut);
        core::spin_wait();
    }
    return {};
}

void processor_main(unsigned number) {
    initialize_this_processor();
    if (!sched::initialize_processor(number)) PANIC("no memory for a processor's idle thread");
    arch::processor().online.store(true, std::memory_order_release);
    sched::run_idle();
}

}  // namespace

ISOUNIK_INIT void initialize_this_processor() {
    uint64_t cr4 = arch::read_cr4() | arch::kCr4FsGsBase;
    if (arch::cpuid(7).ecx & 1 << 3) cr4 |= arch::kCr4ProtectionKeys;
    if (arch::uses_pcids()) cr4 |= arch::kCr4Pcids;  // CR3 names PCID 0 (SDM vol. 3, 4.10.1)
    arch::init_write_cr4(cr4);
    arch::initialize_fpu();
    arch::init_write_cr3(arch::processor().loaded_top_table = arch::processor().kernel_top_table);
    mpk::load_descriptors();
    arch::initialize_local_apic();
    arch::processor().apic_id = arch::local_apic_id();
}

Result<void> start_other_processors(std::span<const uint32_t> apic_ids) {
    unsigned number = 1;
    for (uint32_t apic_id : apic_ids.subspan(apic_ids.empty() ? 0 : 1)) {
        if (number == arch::kMaxCpus) {
            klog::warn("more than {} processors: the others stay unused", arch::kMaxCpus);
            break;
        }
        auto started = start_processor(number, apic_id);
        if (started) {
            number++;
        } else if (started.error() == Errno::kTimedOut) {
            klog::error("processor with APIC id {} did not start", apic_id);
            arch::park_processor(apic_id);
        } else {
            return started;
        }
    }
    return {};
}

}  // namespace boot
