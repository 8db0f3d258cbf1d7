// See context_switch.h. Interrupts are off; the kernel has no SIMD state of its own.
.text
.globl arch_switch_stack
arch_switch_stack:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret

// A new thread's first instructions: function in rbx, argument in rbp (sched/thread_kernel.cpp).
.globl arch_thread_trampoline
arch_thread_trampoline:
    movq %rbp, %rdi
    xorl %ebp, %ebp                // the end of the chain of frames
    call *%rbx
    ud2

.section .note.GNU-stack, "", @progbits
