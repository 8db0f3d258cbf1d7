// The frame on a program's stack with which a handler runs, and the way back (sigaction(2), sigreturn(2)).
// Layout: Linux arch/x86/include/asm/sigframe.h (struct rt_sigframe) and uapi/asm/{ucontext,sigcontext}.h.
#pragma once

#include <cstdint>

#include "arch/x86_64/user_state.h"

#include "process/process.h"
#include "process/signal_info.h"

namespace process {

struct SignalContext {  // struct sigcontext_64
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
    uint16_t cs, gs, fs, ss;
    uint64_t error, trap, old_mask, cr2;
    uint64_t fpstate;
    uint64_t reserved[8];
};
static_assert(sizeof(SignalContext) == 256);

struct UserContext {  // struct ucontext
    uint64_t flags, link;
    SignalStack stack;
    SignalContext registers;
    SignalSet mask;
};
static_assert(sizeof(UserContext) == 304);

struct SignalFrame {  // struct rt_sigframe
    uint64_t return_address;
    UserContext context;
    UserSignalInfo info;
};
static_assert(sizeof(SignalFrame) == 440);

// Where the parts of a frame go. Pure: tested on the host.
struct FramePlacement { uint64_t frame, fpstate; };
FramePlacement place_signal_frame(uint64_t stack_pointer, size_t fpstate_size);
// True if `stack_pointer` lies on the alternate stack.
bool on_alternate_stack(const SignalStack& stack, uint64_t stack_pointer);
// Stack pointer from which the frame is built: below the red zone, or the top of the alternate stack.
uint64_t signal_stack_pointer(const SignalStack& stack, uint64_t stack_pointer, uint64_t action_flags);

// Builds the frame for `info` and points the registers at the handler; `mask` is what sigreturn restores. EFAULT if
// the stack cannot hold it: nothing has changed then but memory below the stack pointer.
Result<void> build_signal_frame(Thread& thread, arch::TrapFrame& frame, const SignalAction& action,
                                const SignalInfo& info, SignalSet mask);
// rt_sigreturn(2): registers, mask, alternate stack and FPU state from the frame at the stack pointer. EFAULT,
// EINVAL: the caller kills the program with SIGSEGV.
Result<void> restore_signal_frame(Thread& thread, arch::TrapFrame& frame);
// sigaltstack(2)'s checks and change. EPERM while running on the old one, EINVAL, ENOMEM below the minimum.
Result<void> change_alternate_stack(Thread& thread, const SignalStack& wanted, uint64_t stack_pointer,
                                    size_t minimum_size);
// What sigaltstack(2) reports.
SignalStack reported_stack(const SignalStack& stack, uint64_t stack_pointer);

// Model of the running program's way into the kernel.
arch::EntryRing entry_ring(const Thread& thread);

}  // namespace process
