// Where the entry stubs arrive in C++, and from where they leave (arch/x86_64/entry.h).
#include "arch/x86_64/apic.h"
#include "arch/x86_64/entry.h"
#include "arch/x86_64/exception_fixup.h"
#include "arch/x86_64/interrupt_table.h"
#include "arch/x86_64/processor.h"
#include "arch/x86_64/registers.h"
#include "arch/x86_64/shootdown.h"
#include "boot/backtrace.h"
#include "core/log.h"
#include "core/panic.h"
#include "libc-compat/syscall.h"
#include "mm/address_space.h"
#include "mpk/exposed_slot.h"
#include "process/fault.h"
#include "process/process.h"
#include "sched/thread.h"

namespace {

constexpr uint64_t kPageFault = 14, kFirstInterrupt = 32;
constexpr uint64_t kFaultWrite = 1 << 1, kFaultFetch = 1 << 4;

process::Thread& program_thread() { return static_cast<process::Thread&>(sched::current()); }

// A page fault of a user copy: resolved, or answered with EFAULT at its fixup. False: the kernel itself is wrong.
bool handle_user_copy_fault(arch::TrapFrame& frame, uint64_t address) {
    uint64_t fixup = arch::fixup_of(frame.rip);
    if (!fixup) return false;
    mm::AddressSpace* space = sched::current().address_space.get();
    bool write = frame.error_or_syscall & kFaultWrite;
    if (space && address < core::kUserEnd &&
        space->fault(UserAddr(address), write ? mm::AccessKind::kWrite : mm::AccessKind::kRead)) {
        return true;
    }
    frame.rip = fixup;
    return true;
}

[[noreturn]] void die(const char* what, const arch::TrapFrame& frame, uint64_t vector) {
    klog::error("{}: vector {}, error {:x}, address {:x}", what, vector, frame.error_or_syscall, arch::read_cr2());
    boot::print_registers(frame);
    boot::print_backtrace(frame.rip, frame.rbp);
    PANIC("the kernel cannot go on");
}

}  // namespace

extern "C" {

void isounik_system_call(arch::TrapFrame* frame) {
    process::Thread& thread = program_thread();
    thread.frame = frame;
    abi::dispatch(thread, *frame);
}

void isounik_interrupt(arch::TrapFrame* frame, uint64_t vector, bool from_program) {
    if (vector >= kFirstInterrupt) {
        frame->error_or_syscall = ~uint64_t{0};  // no system call to restart
        bool real = arch::handle_interrupt(static_cast<uint8_t>(vector));
        if (!from_program) return;
        process::Thread& thread = program_thread();
        thread.frame = frame;
        // `int n` in ring 0 ignores the gate's privilege: what ring 3 gets is #GP (SDM vol. 3, 6.12.1.2).
        if (!real) return process::program_exception(thread, *frame, 13, vector * 8 + 2, 0);
        return process::return_to_user(thread, *frame);
    }
    uint64_t address = vector == kPageFault ? arch::read_cr2() : 0;
    if (from_program) {
        process::Thread& thread = program_thread();
        thread.frame = frame;
        uint64_t error = frame->error_or_syscall;
        frame->error_or_syscall = ~uint64_t{0};
        return process::program_exception(thread, *frame, vector, error, address);
    }
    if (vector == kPageFault && handle_user_copy_fault(*frame, address)) return;
    die("exception in the kernel", *frame, vector);
}

void isounik_first_return(arch::TrapFrame* frame) {
    process::Thread& thread = program_thread();
    thread.frame = frame;
    process::return_to_user(thread, *frame);
    mpk::exit_stub((frame->cs & 3) == 0)(frame);
    __builtin_unreachable();
}

// NMI, #DF and #MC, on a stack of their own.
void isounik_own_stack_interrupt(arch::TrapFrame* frame, uint64_t vector) {
    if (vector == 2) return klog::warn("NMI on processor {}", arch::processor().number);
    die(vector == 8 ? "double fault" : "machine check", *frame, vector);
}

[[noreturn]] void isounik_stub_fault(arch::TrapFrame* frame, uint64_t vector) {
    die("exception in an entry or exit stub", *frame, vector);
}
}
