// Where the entry stubs arrive in C++, and from where they leave (arch/x86_64/entry.h).
#include <atomic>

#include "arch/x86_64/apic.h"
#include "arch/x86_64/entry.h"
#include "arch/x86_64/exception_fixup.h"
#include "arch/x86_64/interrupt_table.h"
#include "arch/x86_64/pkru.h"
#include "arch/x86_64/processor.h"
#include "arch/x86_64/registers.h"
#include "arch/x86_64/shootdown.h"
#include "arch/x86_64/user_state.h"
#include "boot/backtrace.h"
#include "core/log.h"
#include "core/panic.h"
#include "mm/address_space.h"
#include "mpk/exposed_slot.h"
#include "process/code_site.h"
#include "process/fault.h"
#include "process/process.h"
#include "process/signal_frame.h"
#include "sched/thread.h"

namespace {

constexpr uint64_t kPageFault = 14, kFirstInterrupt = 32;
constexpr uint64_t kDebug = 1, kNmi = 2, kInvalidOpcode = 6, kDoubleFault = 8, kGeneralProtection = 13;
constexpr uint64_t kFaultWrite = 1 << 1, kFaultProtectionKey = 1 << 5;
constexpr uint64_t kFlagTrap = 1 << 8;

process::Thread& program_thread() { return static_cast<process::Thread&>(sched::current()); }

process::Thread& entered_from_program(arch::TrapFrame& frame) {
    process::Thread& thread = program_thread();
    thread.frame = &frame;
    return thread;
}

// A page fault of a user copy: resolved, or answered with EFAULT at its fixup. False: the kernel itself is wrong.
bool handle_user_copy_fault(arch::TrapFrame& frame, uint64_t address) {
    uint64_t fixup = arch::fixup_of(frame.rip);
    if (!fixup) return false;
    mm::AddressSpace* space = sched::current().address_space.get();
    bool write = frame.error_or_syscall & kFaultWrite;
    // A copy that the program's own keys forbid is not resolved by a present page.
    if (space && address < core::kUserEnd && !(frame.error_or_syscall & kFaultProtectionKey) &&
        space->fault(UserAddr(address), write ? mm::AccessKind::kWrite : mm::AccessKind::kRead)) {
        return true;
    }
    frame.rip = fixup;
    return true;
}

// An NMI comes also while this processor holds the log's lock: the next ordinary interrupt, which finds no lock held,
// says that it came.
std::atomic<uint64_t> nmis{0};
std::atomic<bool> nmi_to_report{false};

void note_nmi() {
    nmis.fetch_add(1, std::memory_order_relaxed);
    nmi_to_report.store(true, std::memory_order_relaxed);
}

void report_nmi() {
    if (nmi_to_report.exchange(false)) klog::warn("NMI: {} since boot", nmis.load());
}

// A program in ring 0 has executed `int n`: the processor does not say so, but the bytes before RIP do. For the vectors
// that are in service at no APIC. Not seen in pages that the program itself cannot read.
bool is_int_instruction(const arch::TrapFrame& frame, uint64_t vector) {
    constexpr uint8_t kIntN = 0xcd;
    uint8_t bytes[2];
    return frame.rip >= sizeof bytes && arch::copy_in(bytes, UserAddr(frame.rip - sizeof bytes), sizeof bytes) &&
           bytes[0] == kIntN && bytes[1] == vector;
}

[[noreturn]] void die(const char* what, const arch::TrapFrame& frame, uint64_t vector) {
    klog::error("{}: vector {}, error {:x}, address {:x}", what, vector, frame.error_or_syscall, arch::read_cr2());
    boot::print_registers(frame);
    boot::print_backtrace(frame.rip, frame.rbp);
    PANIC("the kernel cannot go on");
}

}  // namespace

extern "C" {

void isounik_interrupt(arch::TrapFrame* frame, uint64_t vector, bool from_program) {
    if (from_program && arch::processor().model != arch::Model::kConfined) {
        // The program may have made up the frame and jumped to a stub: no selector and system flag of its choice.
        arch::sanitize_frame(*frame, arch::EntryRing::kRing0);
        if (vector == kInvalidOpcode && mpk::is_stub(frame->rip)) vector = kGeneralProtection;
    }
    if (vector == kNmi || vector >= kFirstInterrupt) {
        if (from_program && mpk::leave_call_gate(*frame) && program_thread().stepped_into_call) {
            program_thread().stepped_into_call = false;
            frame->rflags |= kFlagTrap;
        }
        if (vector != kNmi && nmi_to_report.load(std::memory_order_relaxed)) [[unlikely]] report_nmi();
        frame->error_or_syscall = ~uint64_t{0};  // no system call to restart
        bool real = vector == kNmi || arch::handle_interrupt(static_cast<uint8_t>(vector));
        if (!from_program) return;
        process::Thread& thread = entered_from_program(*frame);
        process::leave_step_page(thread, *frame, vector);
        if (vector == kNmi || vector == arch::kVectorSpurious) real = !is_int_instruction(*frame, vector);
        if (vector == kNmi && real) note_nmi();
        // `int n` in ring 0 ignores the gate's privilege: what ring 3 gets is #GP (SDM vol. 3, 6.12.1.2).
        if (!real) return process::program_exception(thread, *frame, 13, vector * 8 + 2, 0);
        return process::return_to_user(thread, *frame);
    }
    uint64_t address = vector == kPageFault ? arch::read_cr2() : 0;
    if (from_program) {
        process::Thread& thread = entered_from_program(*frame);
        if (process::leave_step_page(thread, *frame, vector)) return process::return_to_user(thread, *frame);
        uint64_t error = frame->error_or_syscall;
        frame->error_or_syscall = ~uint64_t{0};
        return process::program_exception(thread, *frame, vector, error, address);
    }
    if (vector == kPageFault && handle_user_copy_fault(*frame, address)) {
        // The entry stub has opened all keys.
        if (arch::processor().copy_pkru) arch::write_pkru(arch::processor().copy_pkru);
        return;
    }
    if (vector == kGeneralProtection) {
        // XRSTOR of what a program wrote.
        if (uint64_t fixup = arch::fixup_of(frame->rip)) {
            frame->rip = fixup;
            if (arch::processor().copy_pkru) arch::write_pkru(arch::processor().copy_pkru);
            return;
        }
    }
    die("exception in the kernel", *frame, vector);
}

void isounik_first_return(arch::TrapFrame* frame) {
    process::Thread& thread = program_thread();
    thread.frame = frame;
    // It leaves as what its process is now, whatever its parent's registers say.
    thread.model = thread.address_space->model();
    arch::sanitize_frame(*frame, process::entry_ring(thread));
    process::return_to_user(thread, *frame);
    arch::processor().exit_to_program(frame);
    __builtin_unreachable();
}

uint32_t isounik_own_stack_interrupt(arch::TrapFrame* frame, uint64_t vector, bool from_program) {
    bool in_stub = mpk::is_stub(frame->rip);
    arch::processor().own_stacks_used = true;
    if (from_program) frame->rip = mpk::leave_window(frame->rip);
    switch (vector) {
        case kDebug:
            // In a stub: single steps that end at the program's next instruction. In the kernel, and where the stub of the
            // call gate would begin anew after each: a program in ring 0 has called it or jumped to a stub with TF set.
            if ((!from_program || mpk::enters_call_gate(frame->rip)) && (frame->rflags & kFlagTrap)) {
                frame->rflags &= ~kFlagTrap;
                program_thread().stepped_into_call = true;
                program_thread().exit_work.fetch_or(sched::kWorkReschedule, std::memory_order_relaxed);
            }
            return from_program && !in_stub;
        case kNmi:
            // A program in ring 0 can make one up by `int 2`.
            if (from_program && !in_stub && arch::processor().model != arch::Model::kConfined) return 1;
            note_nmi();
            return 0;
        default:
            // A program in ring 0 can make these up by jumping to the stub or by `int n`.
            if (from_program && arch::processor().model != arch::Model::kConfined) return 1;
            die(vector == kDoubleFault ? "double fault" : "machine check", *frame, vector);
    }
}

[[noreturn]] void isounik_stub_fault(arch::TrapFrame* frame, uint64_t vector) {
    bool in_stub = mpk::is_stub(frame->rip);
    die(in_stub ? "exception in an entry or exit stub" : "a kernel stack has overflowed", *frame, vector);
}
}
