// Exceptions of programs as signals (Linux arch/x86/kernel/traps.c; sigaction(2), si_code).
#include "process/fault.h"

#include "arch/x86_64/entry.h"
#include "arch/x86_64/user_state.h"
#include "mpk/exposed_slot.h"
#include "process/code_site.h"
#include "process/out_of_memory.h"
#include "process/process.h"
#include "process/signal.h"

namespace process {

namespace {

constexpr int kIllIllOpn = 2, kFpeIntDiv = 1, kFpeFltDiv = 3, kFpeFltOvf = 4, kFpeFltUnd = 5, kFpeFltRes = 6,
    kFpeFltInv = 7, kSegvMapErr = 1, kSegvAccErr = 2, kSegvPkuErr = 4, kBusAdrAln = 1, kBusAdrErr = 2, kTrapBrkpt = 1,
    kTrapTrace = 2;
constexpr uint64_t kErrorWrite = 1 << 1, kErrorFetch = 1 << 4, kErrorProtectionKey = 1 << 5;

SignalInfo fault_info(int signal, int code, uint64_t address) {
    SignalInfo info = simple_signal(signal, code);
    info.fault = {address, 0, 0};
    return info;
}

// True if resolved.
bool resolve_page_fault(Thread& thread, uint64_t error_code, uint64_t address, SignalInfo& info) {
    thread.minor_faults++;
    // Also when the kernel's key denied it: a program learns nothing about the kernel's half.
    if (address >= core::kUserEnd) {
        info = fault_info(kSigSegv, kSegvMapErr, address);
        return false;
    }
    if (error_code & kErrorProtectionKey) {
        info = fault_info(kSigSegv, kSegvPkuErr, address);
        info.fault.protection_key = thread.address_space->key_at(UserAddr(address));
        return false;
    }
    mm::AccessKind kind = error_code & kErrorFetch   ? mm::AccessKind::kExecute
                          : error_code & kErrorWrite ? mm::AccessKind::kWrite
                                                     : mm::AccessKind::kRead;
    auto result = thread.address_space->fault(UserAddr(address), kind);
    if (result) return true;
    switch (result.error()) {
        case mm::FaultError::kNoMapping: info = fault_info(kSigSegv, kSegvMapErr, address); break;
        case mm::FaultError::kNoAccess: info = fault_info(kSigSegv, kSegvAccErr, address); break;
        case mm::FaultError::kPastEnd: info = fault_info(kSigBus, kBusAdrErr, address); break;
        case mm::FaultError::kOutOfMemory:
            wait_for_memory();
            return true;  // the access is tried again
    }
    return false;
}

// Of several the first in this order, which is Linux's.
int floating_point_code(uint32_t exceptions) {
    if (exceptions & arch::kFpInvalid) return kFpeFltInv;
    if (exceptions & arch::kFpZeroDivide) return kFpeFltDiv;
    if (exceptions & arch::kFpOverflow) return kFpeFltOvf;
    if (exceptions & (arch::kFpUnderflow | arch::kFpDenormal)) return kFpeFltUnd;
    return kFpeFltRes;
}

SignalInfo exception_info(uint64_t vector, const arch::TrapFrame& frame) {
    switch (vector) {
        case 0: return fault_info(kSigFpe, kFpeIntDiv, frame.rip);
        case 1: return fault_info(kSigTrap, kTrapTrace, frame.rip);
        case 3: return fault_info(kSigTrap, kSiKernel, 0);
        case 6: return fault_info(kSigIll, kIllIllOpn, frame.rip);
        case 16: return fault_info(kSigFpe, floating_point_code(arch::raised_x87_exceptions()), frame.rip);
        case 19: return fault_info(kSigFpe, floating_point_code(arch::raised_sse_exceptions()), frame.rip);
        case 17: return fault_info(kSigBus, kBusAdrAln, 0);
        case 11:
        case 12: return fault_info(kSigBus, kSiKernel, 0);
        // #OF and #BR, #GP, #TS and the rest: a segmentation fault without an address.
        default: return fault_info(kSigSegv, kSiKernel, 0);
    }
}

}  // namespace

void program_exception(Thread& thread, arch::TrapFrame& frame, uint64_t vector, uint64_t error_code,
                       uint64_t fault_address) {
    constexpr uint64_t kPageFault = 14, kBreakpoint = 3;
    thread.in_system_call = false;
    SignalInfo info;
    if (vector == kBreakpoint) {
        SiteOutcome site = handle_trap_at_site(thread, frame);
        if (site.result == SiteResult::kResume) return return_to_user(thread, frame);
        if (site.result == SiteResult::kStep) {
            uint64_t instruction = frame.rip;
            return_to_user(thread, frame);
            if (frame.rip == instruction) begin_step(thread, frame, *site.form);
            return;
        }
        if (site.result == SiteResult::kException) {
            vector = site.vector;
            error_code = site.error_code;
            fault_address = site.address;
        }
    }
    if (vector == kPageFault && mpk::is_call_gate(fault_address) && frame.from_ring3()) {
        // It had the gate's address before it became confined.
        constexpr uint64_t kFlagTrap = 0x100;
        frame.error_or_syscall = frame.rax;
        frame.rip = 0;
        if (frame.rflags & kFlagTrap) thread.stepped_into_call = true;
        return isounik_full_system_call(&frame);
    }
    if (vector == kPageFault && resolve_page_fault(thread, error_code, fault_address, info)) {
        return return_to_user(thread, frame);
    }
    if (vector != kPageFault) info = exception_info(vector, frame);
    thread.last_fault = {vector, error_code, vector == kPageFault ? fault_address : 0};
    force_signal(thread, info);
    return_to_user(thread, frame);
}

}  // namespace process
