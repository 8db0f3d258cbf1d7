// The registers of an interrupted program or kernel context, as the entry stubs push them (mpk/stubs.S).
//
// A system call fills only rdx to rdi, r8 to r10, error_or_syscall, rip, rflags and rsp. The rest is there in calls
// that Linux too gives a full frame (clone and its like, execve, rt_sigreturn) and when there is work on the way out.
#pragma once

#include <cstddef>
#include <cstdint>

namespace arch {

struct TrapFrame {
    uint64_t r15, r14, r13, r12, rbp, rbx;            // callee-saved (System V ABI)
    uint64_t r11, rcx, rax;
    uint64_t r10, r9, r8, rdx, rsi, rdi;
    // A system call: its number (what -ERESTART* needs again). An exception: its error code or 0.
    // An interrupt: 0.
    uint64_t error_or_syscall;
    uint64_t rip, cs, rflags, rsp, ss;

    bool from_ring3() const { return (cs & 3) == 3; }
};
static_assert(sizeof(TrapFrame) == 21 * 8);

}  // namespace arch
