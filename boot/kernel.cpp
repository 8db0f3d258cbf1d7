#include "boot/kernel.h"

#include <cstring>

#include "arch/x86_64/apic.h"
#include "arch/x86_64/clock.h"
#include "arch/x86_64/interrupt_table.h"
#include "arch/x86_64/pcid.h"
#include "arch/x86_64/processor.h"
#include "arch/x86_64/registers.h"
#include "arch/x86_64/shootdown.h"
#include "boot/command_line.h"
#include "boot/control.h"
#include "boot/first_program.h"
#include "boot/page_tables.h"
#include "boot/processors.h"
#include "boot/start_info.h"
#include "core/log.h"
#include "core/panic.h"
#include "core/random.h"
#include "core/weakness.h"
#include "drivers/devices.h"
#include "drivers/kvmclock.h"
#include "drivers/rtc.h"
#include "drivers/serial.h"
#include "mm/frames.h"
#include "mpk/exposed_slot.h"
#include "sched/scheduler.h"
#include "sched/timer.h"

namespace boot {

namespace {

extern "C" void (*const init_array_start[])();
extern "C" void (*const init_array_end[])();

StartInfo start_info;
bool refused = false;  // the command line asks for what this kernel must not do

// What the kernel's instructions and layout rely on; a machine without it is told what it lacks.
void require_processor_features() {
    auto require = [](bool present, const char* name) {
        if (present) return;
        klog::error("the processor lacks {}, which the kernel needs; with QEMU, try -cpu max or -cpu host", name);
        PANIC("unsupported processor");
    };
    arch::CpuidResult features = arch::cpuid(1), extended = arch::cpuid(7), amd = arch::cpuid(0x80000001);
    require(features.ecx & 1 << 26, "XSAVE");
    require(extended.ebx & 1 << 0, "FSGSBASE");
    require(amd.edx & 1 << 11, "SYSCALL");
    require(amd.edx & 1 << 20, "no-execute pages (NX)");
}

void seed_random_numbers() {
    uint64_t words[8] = {arch::read_tsc()};
    drivers::hardware_entropy(std::as_writable_bytes(std::span(words).subspan(1)));
    core::seed_random(std::as_bytes(std::span(words)));
}

void must(Result<void> result, const char* step) {
    if (result) return;
    klog::error("{} failed: {}", step, result.error());
    PANIC("the kernel could not start");
}

// The rest of the boot, on a kernel thread that may sleep.
void bring_up(void*) {
    if (arch::uses_pcids()) klog::info("PCIDs are used");
    must(start_other_processors(drivers::processor_apic_ids()), "starting the other processors");
    retire_init_text();
    auto options = parse(start_info.command_line);
    if (!options) must(fail(options.error()), "reading the command line");
    drivers::initialize();
    seed_random_numbers();
    // KVM's wall clock is finer than the CMOS one, and microvm under KVM has no other.
    if (auto wall = drivers::kvmclock_wall_time()) sched::set_realtime(*wall);
    else if (auto seconds = drivers::read_rtc()) sched::set_realtime(*seconds * 1'000'000'000);
    else klog::warn("no usable real-time clock: the date starts at 1970-01-01");
    if (refused) report_exit_and_power_off(kMachineFailed);
    auto image = static_cast<const std::byte*>(mm::to_pointer(start_info.image.start));
    start_first_program(*options, {image, start_info.image.end - start_info.image.start});
    const mm::MemoryStatistics memory = mm::memory_statistics();
    klog::info("{} processors, {} of {} KiB free", sched::cpu_count(), memory.free_pages * 4,
               memory.total_pages * 4);
}

}  // namespace

}  // namespace boot

void boot_main(uint64_t start_info_address) {
    using namespace boot;
    for (auto constructor = init_array_start; constructor != init_array_end; constructor++) (*constructor)();
    drivers::serial_initialize();
    core::klog::set_sink(drivers::serial_write);
    start_info = read_start_info(start_info_address);
    EarlyOptions early = parse_early(start_info.command_line);
    core::klog::set_level(early.log_level);
    refused = !early.weaken.empty() && !core::weaken(early.weaken);
    require_processor_features();

    build_kernel_tables(start_info.ram_end);
    initialize_memory(start_info);
    must(mpk::initialize_exposed_pages(), "building the exposed slot");
    auto processor_page = reinterpret_cast<uint64_t>(arch::processor_of(0)) - arch::kKernelImageBase;
    must(mpk::build_processor_slots(0, core::Pfn(core::PhysAddr(processor_page))), "building the exposed slot");
    auto table = make_kernel_table(0);
    if (!table) must(fail(table.error()), "building the kernel's page table");
    arch::processor().kernel_top_table = table->value();
    arch::initialize_pcids();
    initialize_this_processor();
    drivers::discover_platform({start_info.rsdp, start_info.command_line});
    arch::initialize_clock(early.tsc_khz ? early.tsc_khz : drivers::kvmclock_tsc_khz().value_or(0));
    core::klog::log_clock_ns = arch::now_ns;

    arch::set_vector(arch::kVectorTimer, sched::on_timer_interrupt, nullptr);
    arch::set_vector(arch::kVectorReschedule, sched::on_reschedule_interrupt, nullptr);
    arch::set_vector(arch::kVectorFlush, [](void*) { arch::answer_flush_requests(); }, nullptr);
    must(sched::initialize_processor(0), "making the idle thread");
    auto thread = sched::Thread::create_kernel("boot", bring_up, nullptr);
    if (!thread) must(fail(thread.error()), "making the boot thread");
    sched::start(**thread);
    thread->reset();
    arch::processor().online.store(true);
    sched::run_idle();
}
