#include "process/signal_frame.h"

#include <cstring>

#include "arch/x86_64/user_copy.h"
#include "core/weakness.h"

namespace process {

namespace {

constexpr uint64_t kRedZone = 128;
// uc_flags: the frame carries an XSAVE area; SS is saved and restored as it is.
constexpr uint64_t kUcFpXstate = 1, kUcSigcontextSs = 2, kUcStrictRestoreSs = 4;
constexpr uint64_t kFlagDirection = 0x400, kFlagResume = 0x10000, kFlagTrap = 0x100;

}  // namespace

FramePlacement place_signal_frame(uint64_t stack_pointer, size_t fpstate_size) {
    uint64_t fpstate = core::align_down(stack_pointer - fpstate_size, 64);
    // As after a call: the stack is 16-byte aligned before the return address.
    uint64_t frame = core::align_down(fpstate - sizeof(SignalFrame), 16) - 8;
    return {frame, fpstate};
}

bool on_alternate_stack(const SignalStack& stack, uint64_t stack_pointer) {
    if (static_cast<uint32_t>(stack.flags) & kSsAutoDisarm) return false;
    return stack_pointer > stack.base && stack_pointer - stack.base <= stack.size;
}

uint64_t signal_stack_pointer(const SignalStack& stack, uint64_t stack_pointer, uint64_t action_flags) {
    bool usable = stack.size != 0 && !on_alternate_stack(stack, stack_pointer);
    if ((action_flags & kSaOnStack) && usable) return stack.base + stack.size;
    return stack_pointer - kRedZone;
}

SignalStack reported_stack(const SignalStack& stack, uint64_t stack_pointer) {
    SignalStack reported = stack;
    int32_t mode = stack.size == 0 ? kSsDisable : on_alternate_stack(stack, stack_pointer) ? kSsOnStack : 0;
    reported.flags = static_cast<int32_t>(mode | (static_cast<uint32_t>(stack.flags) & kSsAutoDisarm));
    reported.padding = 0;
    return reported;
}

arch::EntryRing entry_ring(const Thread& thread) {
    return thread.address_space->model() == mm::Model::kConfined ? arch::EntryRing::kRing3 : arch::EntryRing::kRing0;
}

Result<void> build_signal_frame(Thread& thread, arch::TrapFrame& frame, const SignalAction& action,
                                const SignalInfo& info, SignalSet mask) {
    if (!(action.flags & kSaRestorer)) return fail(Errno::kFault);
    SignalStack& stack = thread.alternate_stack;
    bool was_on_stack = on_alternate_stack(stack, frame.rsp);
    uint64_t top = signal_stack_pointer(stack, frame.rsp, action.flags);
    bool entering = top == stack.base + stack.size && (action.flags & kSaOnStack) && stack.size;
    FramePlacement place = place_signal_frame(top, arch::signal_fpstate_size());
    // An overflow of the alternate stack kills rather than tramples what lies below it.
    if ((was_on_stack || entering) && !(place.frame > stack.base && place.frame - stack.base <= stack.size)) {
        return fail(Errno::kFault);
    }

    // All but the information, which only SA_SIGINFO asks for.
    struct Head { uint64_t return_address; UserContext context; };
    static_assert(sizeof(Head) == offsetof(SignalFrame, info));
    Head out;
    out.return_address = action.restorer;
    out.context.flags = kUcFpXstate | kUcSigcontextSs | kUcStrictRestoreSs;
    out.context.link = 0;
    out.context.stack = stack;
    out.context.mask = mask;
    SignalContext& registers = out.context.registers;
    registers.r8 = frame.r8; registers.r9 = frame.r9; registers.r10 = frame.r10; registers.r11 = frame.r11;
    registers.r12 = frame.r12; registers.r13 = frame.r13; registers.r14 = frame.r14; registers.r15 = frame.r15;
    registers.rdi = frame.rdi; registers.rsi = frame.rsi; registers.rbp = frame.rbp; registers.rbx = frame.rbx;
    registers.rdx = frame.rdx; registers.rax = frame.rax; registers.rcx = frame.rcx; registers.rsp = frame.rsp;
    registers.rip = frame.rip; registers.rflags = frame.rflags;
    registers.cs = static_cast<uint16_t>(frame.cs);
    registers.gs = registers.fs = 0;
    registers.ss = static_cast<uint16_t>(frame.ss);
    registers.error = thread.last_fault.error;
    registers.trap = thread.last_fault.number;
    registers.cr2 = thread.last_fault.address;
    registers.old_mask = mask.bits;
    registers.fpstate = place.fpstate;
    std::memset(registers.reserved, 0, sizeof registers.reserved);

    TRY(arch::save_signal_fpstate(UserAddr(place.fpstate)));
    TRY(arch::copy_out(UserAddr(place.frame), &out, sizeof out));
    if (action.flags & kSaSigInfo) TRY(arch::copy_out(UserAddr(place.frame) + sizeof out, &info, sizeof info));

    if (static_cast<uint32_t>(stack.flags) & kSsAutoDisarm) stack = SignalStack{};
    // Handlers run with the keys of a fresh program (pkeys(7), "Protection keys and signal handlers").
    thread.interrupted_keys.entered(place.frame, arch::program_pkru());
    arch::set_program_pkru(arch::kInitialPkru);
    frame.rdi = static_cast<uint64_t>(info.signal);
    frame.rsi = place.frame + offsetof(SignalFrame, info);
    frame.rdx = place.frame + offsetof(SignalFrame, context);
    frame.rax = 0;
    frame.rip = action.handler;
    frame.rsp = place.frame;
    frame.rflags &= ~(kFlagDirection | kFlagResume | kFlagTrap);
    arch::sanitize_frame(frame, entry_ring(thread));
    return {};
}

Result<void> restore_signal_frame(Thread& thread, arch::TrapFrame& frame) {
    // The handler's `ret` took the return address.
    uint64_t start = frame.rsp - sizeof(uint64_t);
    UserContext context;
    TRY(arch::copy_in(&context, UserAddr(start + offsetof(SignalFrame, context)), sizeof context));
    set_blocked(thread, context.mask);
    const SignalContext& registers = context.registers;
    frame.r8 = registers.r8; frame.r9 = registers.r9; frame.r10 = registers.r10; frame.r11 = registers.r11;
    frame.r12 = registers.r12; frame.r13 = registers.r13; frame.r14 = registers.r14; frame.r15 = registers.r15;
    frame.rdi = registers.rdi; frame.rsi = registers.rsi; frame.rbp = registers.rbp; frame.rbx = registers.rbx;
    frame.rdx = registers.rdx; frame.rax = registers.rax; frame.rcx = registers.rcx; frame.rsp = registers.rsp;
    frame.rip = registers.rip; frame.rflags = registers.rflags;
    arch::sanitize_frame(frame, entry_ring(thread));
    if (core::weakened(core::Weakness::kSignalFrame)) {
        frame.rflags = registers.rflags;
        frame.cs = registers.cs;
        frame.ss = registers.ss;
    }
    thread.in_system_call = false;
    thread.restart.resume = nullptr;
    TRY(arch::restore_signal_fpstate(UserAddr(registers.fpstate)));
    // As Linux: a bad stack in the frame is ignored.
    (void)change_alternate_stack(thread, context.stack, frame.rsp, 0);
    arch::set_program_pkru(thread.interrupted_keys.left(start));
    return {};
}

Result<void> change_alternate_stack(Thread& thread, const SignalStack& wanted, uint64_t stack_pointer,
                                    size_t minimum_size) {
    SignalStack& stack = thread.alternate_stack;
    if (on_alternate_stack(stack, stack_pointer)) return fail(Errno::kPerm);
    uint32_t mode = static_cast<uint32_t>(wanted.flags) & ~kSsAutoDisarm;
    if (mode != static_cast<uint32_t>(kSsDisable) && mode != static_cast<uint32_t>(kSsOnStack) && mode != 0) {
        return fail(Errno::kInval);
    }
    if (mode == static_cast<uint32_t>(kSsDisable)) {
        stack = SignalStack{};
        stack.flags = wanted.flags;
        return {};
    }
    if (wanted.size < minimum_size) return fail(Errno::kNoMem);
    stack = wanted;
    return {};
}

}  // namespace process
