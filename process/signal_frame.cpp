#include "process/signal_frame.h"

#include "arch/x86_64/user_word.h"
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

namespace {

// All of the frame but the information, which only SA_SIGINFO asks for.
bool store_context(const FramePlacement& place, const arch::TrapFrame& frame, const Thread& thread, uint64_t restorer,
                   SignalSet mask) {
    constexpr uint64_t kUcFlags = kUcFpXstate | kUcSigcontextSs | kUcStrictRestoreSs;
    constexpr uint64_t kNone = 0;
    const SignalStack& stack = thread.alternate_stack;
    const auto& fault = thread.last_fault;
    arch::UserWords words(UserAddr(place.frame), offsetof(SignalFrame, info));
    return words.store(
        restorer, kUcFlags, /* link */ kNone, stack.base, stack.flags, stack.padding, stack.size,
        frame.r8, frame.r9, frame.r10, frame.r11, frame.r12, frame.r13, frame.r14, frame.r15,
        frame.rdi, frame.rsi, frame.rbp, frame.rbx, frame.rdx, frame.rax, frame.rcx, frame.rsp, frame.rip, frame.rflags,
        frame.cs | frame.ss << 48, fault.error, fault.number, /* old mask */ mask.bits, fault.address, place.fpstate,
        /* reserved */ kNone, kNone, kNone, kNone, kNone, kNone, kNone, kNone, mask.bits);
}

struct Restored {
    SignalStack stack;
    SignalSet mask;
    uint64_t fpstate;
    uint64_t rflags, cs, ss;  // as they stand there
};

// The registers come into `frame`, where they must be made safe, also if this fails. They come last: a frame in part of
// which there is no memory leaves them alone.
bool load_context(uint64_t start, arch::TrapFrame& frame, Restored& restored) {
    constexpr size_t kContext = offsetof(SignalFrame, context);
    constexpr size_t kRegisters = kContext + offsetof(UserContext, registers);
    SignalStack& stack = restored.stack;
    uint64_t segments = 0;
    arch::UserWords words(UserAddr(start), offsetof(SignalFrame, info));
    bool whole =
        words.load(kContext + offsetof(UserContext, mask), restored.mask.bits) &&
        words.load(kRegisters + offsetof(SignalContext, fpstate), restored.fpstate) &&
        words.load(kContext + offsetof(UserContext, stack), stack.base, stack.flags, stack.padding, stack.size,
                   frame.r8, frame.r9, frame.r10, frame.r11, frame.r12, frame.r13, frame.r14, frame.r15,
                   frame.rdi, frame.rsi, frame.rbp, frame.rbx, frame.rdx, frame.rax, frame.rcx, frame.rsp, frame.rip,
                   frame.rflags, segments);
    restored.rflags = frame.rflags;
    restored.cs = segments & 0xffff;
    restored.ss = segments >> 48;
    return whole;
}

}  // namespace

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

    TRY(arch::save_signal_fpstate(UserAddr(place.fpstate)));
    if (!store_context(place, frame, thread, action.restorer, mask)) return fail(Errno::kFault);
    if (action.flags & kSaSigInfo) {
        TRY(copy_out_info(UserOut<UserSignalInfo>(place.frame + offsetof(SignalFrame, info)), info));
    }

    arch::reset_fpstate();
    if (static_cast<uint32_t>(stack.flags) & kSsAutoDisarm) stack = SignalStack{};
    // Handlers run with the keys of a fresh program (pkeys(7), "Protection keys and signal handlers").
    thread.interrupted_keys.entered(place.frame, arch::program_pkru());
    arch::set_program_pkru(arch::kInitialPkru);
    frame.rdi = static_cast<uint64_t>(info.signal);
    frame.rsi = place.frame + offsetof(SignalFrame, info);
    frame.rdx = place.frame + offsetof(SignalFrame, context);
    frame.rax = 0;
    frame.rip = arch::canonical_instruction_pointer(action.handler);
    frame.rsp = place.frame;
    frame.rflags &= ~(kFlagDirection | kFlagResume | kFlagTrap);
    return {};
}

Result<void> restore_signal_frame(Thread& thread, arch::TrapFrame& frame) {
    // The handler's `ret` took the return address.
    uint64_t start = frame.rsp - sizeof(uint64_t);
    Restored restored;
    bool whole = load_context(start, frame, restored);
    arch::sanitize_frame(frame, entry_ring(thread));
    if (!whole) return fail(Errno::kFault);
    set_blocked(thread, restored.mask);
    if (core::weakened(core::Weakness::kSignalFrame)) {
        frame.rflags = restored.rflags;
        frame.cs = restored.cs;
        frame.ss = restored.ss;
    }
    thread.in_system_call = false;
    thread.restart.resume = nullptr;
    TRY(arch::restore_signal_fpstate(UserAddr(restored.fpstate)));
    // As Linux: a bad stack in the frame is ignored.
    (void)change_alternate_stack(thread, restored.stack, frame.rsp, 0);
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
