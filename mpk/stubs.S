// Entry and exit stubs, linked into the exposed slot (EXPOSED_STUBS). docs/architecture.md, "Ways in and out".
//
// Two sets: *_confined for programs in ring 3, *_isolated for programs in ring 0 with PKRU closed. Every entry
// arrives with IF = 0. The exposed slot's data is reached RIP-relative; the Processor page of kernel memory by
// its absolute address once PKRU is open. No stub uses a program's stack, and FS and GS are left alone.
#include "arch/x86_64/asm_layout.h"

// RIP-relative operand for an offset within the exposed slot (exposed_base: boot/kernel.ld).
#define EXPOSED(offset) (exposed_base + (offset))(%rip)
#define S_RAX EXPOSED(EXPOSED_SCRATCH + 0)
#define S_RCX EXPOSED(EXPOSED_SCRATCH + 8)
#define S_RDX EXPOSED(EXPOSED_SCRATCH + 16)
#define S_IRET (EXPOSED_SCRATCH + 64)


.section .stubs, "ax"
.code64

// Pushes rsi down to r15 (the error word and rdi are on the stack already) as TrapFrame orders them.
.macro PUSH_REST
    pushq %rsi
    pushq %rdx
    pushq %rcx
    pushq %rax
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    PUSH_CALLEE_SAVED
.endm

.macro PUSH_CALLEE_SAVED
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
.endm

.macro POP_CALLEE_SAVED
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
.endm

// ---------------------------------------------------------------- confined: ring 3

.balign 64
syscall_confined:
    movq %rsp, EXPOSED(EXPOSED_SCRATCH + PROCESSOR_SCRATCH)
    movq EXPOSED(EXPOSED_SCRATCH + PROCESSOR_KERNEL_STACK), %rsp
    pushq $SELECTOR_USER_DATA
    pushq EXPOSED(EXPOSED_SCRATCH + PROCESSOR_SCRATCH)
    pushq %r11
    pushq $SELECTOR_USER_CODE
    pushq %rcx
    pushq %rax
    pushq %rdi
    PUSH_REST
    movq %rsp, %rdi
    movq $isounik_system_call, %rax
    call *%rax
    // SYSRET restores RIP from RCX and RFLAGS from R11: only if the frame wants just that.
    movq FRAME_RIP(%rsp), %rcx
    cmpq FRAME_RCX(%rsp), %rcx
    jne exit_confined_here
    movq FRAME_RFLAGS(%rsp), %r11
    cmpq FRAME_R11(%rsp), %r11
    jne exit_confined_here
    movq %rcx, %rax
    shrq $47, %rax                 // SYSRET to a non-canonical address faults in ring 0
    jnz exit_confined_here
    POP_CALLEE_SAVED
    addq $8, %rsp
    popq %r10
    popq %r9
    popq %r8
    popq %rax
    addq $8, %rsp
    popq %rdx
    popq %rsi
    popq %rdi
    movq 32(%rsp), %rsp            // past the error word, rip, cs and rflags
    sysretq

// void exit_confined(TrapFrame* frame): restores everything from the frame on the kernel stack. Also the way
// back into the kernel itself (an interrupted poll point, a resolved fault of a user copy).
.balign 16
exit_confined:
exit_kernel:
    movq %rdi, %rsp
exit_confined_here:
exit_kernel_here:
    POP_CALLEE_SAVED
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rax
    popq %rcx
    popq %rdx
    popq %rsi
    popq %rdi
    addq $8, %rsp
    iretq

// On IST1, with the error word and rdi pushed and the vector in edi.
.balign 64
interrupt_confined:
    PUSH_REST
    cld
    movl %edi, %ebx
    movq %rsp, %rsi
    xorl %ebp, %ebp
    testb $3, FRAME_CS(%rsi)
    jz copy_off_kernel
    movl $1, %ebp
    movq EXPOSED(EXPOSED_SCRATCH + PROCESSOR_KERNEL_STACK), %rdi
    subq $FRAME_SIZE, %rdi
    movq %rdi, %r12
    movl $FRAME_WORDS, %ecx
    rep movsq
    movq %r12, %rsp
    jmp dispatch_confined

// The kernel was interrupted (frame in rsi): its stack below the interrupted frame takes the copy. A fault
// inside a stub ends the machine: it cannot happen unless the kernel or the processor is broken.
copy_off_kernel:
    leaq EXPOSED(0), %rax
    movq FRAME_RIP(%rsi), %rdi
    subq %rax, %rdi
    cmpq $EXPOSED_STUBS_END, %rdi
    jb stub_fault
    movq FRAME_RSP(%rsi), %rdi
    andq $-16, %rdi
    subq $FRAME_SIZE, %rdi
    movq %rdi, %r12
    movl $FRAME_WORDS, %ecx
    rep movsq
    movq %r12, %rsp
dispatch_confined:
    movq %rsp, %rdi
    movl %ebx, %esi
    movl %ebp, %edx
    movq $isounik_interrupt, %rax
    call *%rax
    jmp exit_confined_here

stub_fault:
    movq %rsp, %rdi
    movl %ebx, %esi
    movq $isounik_stub_fault, %rax
    call *%rax
    ud2

// ---------------------------------------------------------------- isolated: ring 0, PKRU closed

.balign 64
syscall_isolated:
    movq %rax, S_RAX
    movq %rcx, S_RCX
    movq %rdx, S_RDX
    xorl %eax, %eax
    xorl %ecx, %ecx
    xorl %edx, %edx
    wrpkru
    testl %eax, %eax               // somebody jumped to the instruction above with another value
    jnz isolated_abort
    movabsq $PROCESSOR_BASE, %rax  // faults unless PKRU is open
    movq %rsp, %rdx
    movq PROCESSOR_KERNEL_STACK(%rax), %rsp
    pushq $SELECTOR_KERNEL_DATA
    pushq %rdx
    pushq %r11
    pushq $SELECTOR_KERNEL_CODE
    pushq S_RCX
    pushq S_RAX
    pushq %rdi
    pushq %rsi
    pushq S_RDX
    pushq S_RCX
    pushq S_RAX
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    PUSH_CALLEE_SAVED
    movq %rsp, %rdi
    movq $isounik_system_call, %rax
    call *%rax
    // The short way back clobbers RCX and R11 as `syscall` does; TF must not fire inside the stub.
    movq FRAME_RIP(%rsp), %rcx
    cmpq FRAME_RCX(%rsp), %rcx
    jne exit_isolated_here
    movq FRAME_RFLAGS(%rsp), %r11
    cmpq FRAME_R11(%rsp), %r11
    jne exit_isolated_here
    testl $0x100, %r11d
    jnz exit_isolated_here
    movq %rcx, S_RCX
    movq FRAME_RAX(%rsp), %rax
    movq %rax, S_RAX
    POP_CALLEE_SAVED
    addq $8, %rsp
    popq %r10
    popq %r9
    popq %r8
    addq $16, %rsp
    popq S_RDX
    popq %rsi
    popq %rdi
    addq $24, %rsp
    andq $~0x200, (%rsp)           // IF stays 0 until the last instruction but one
    popfq
    movq (%rsp), %rsp
    // From here on no instruction changes the flags.
    movl $0, %ecx
    movl $0, %edx
    movl $PKRU_ISOLATED, %eax
    wrpkru
    leal -PKRU_ISOLATED(%rax), %ecx
    jrcxz 1f
    jmp isolated_abort
1:  movq S_RAX, %rax
    movq S_RDX, %rdx
    movq S_RCX, %rcx
    sti
    jmp *%rcx

isolated_abort:
    ud2

// void exit_isolated(TrapFrame* frame): restores everything. IRETQ reads its five words after PKRU is closed,
// so they are copied to the exposed scratch page first.
.balign 16
exit_isolated:
    movq %rdi, %rsp
exit_isolated_here:
    leaq EXPOSED(S_IRET), %rdi
    leaq FRAME_RIP(%rsp), %rsi
    movl $5, %ecx
    rep movsq
    POP_CALLEE_SAVED
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq S_RAX
    popq S_RCX
    popq S_RDX
    popq %rsi
    popq %rdi
    leaq EXPOSED(S_IRET), %rsp
    xorl %ecx, %ecx
    xorl %edx, %edx
    movl $PKRU_ISOLATED, %eax
    wrpkru
    cmpl $PKRU_ISOLATED, %eax
    jne isolated_abort
    movq S_RAX, %rax
    movq S_RCX, %rcx
    movq S_RDX, %rdx
    iretq

.balign 64
interrupt_isolated:
    PUSH_REST
    cld
    movl %edi, %ebx
    xorl %ecx, %ecx
    rdpkru
    movl %eax, %ebp                // 0: the kernel was interrupted; else a program
    xorl %eax, %eax
    xorl %ecx, %ecx
    xorl %edx, %edx
    wrpkru
    testl %eax, %eax
    jnz isolated_abort
    movq %rsp, %rsi
    testl %ebp, %ebp
    jz copy_off_kernel             // PKRU is open already, as it was
    movabsq $PROCESSOR_BASE, %rax
    movq PROCESSOR_KERNEL_STACK(%rax), %rdi
    subq $FRAME_SIZE, %rdi
    movq %rdi, %r12
    movl $FRAME_WORDS, %ecx
    rep movsq
    movq %rsp, %rdi                // wipe the copy that the next program could read
    xorl %eax, %eax
    movl $FRAME_WORDS, %ecx
    rep stosq
    movq %r12, %rsp
    movq %r12, %rdi
    movl %ebx, %esi
    movl $1, %edx
    movq $isounik_interrupt, %rax
    call *%rax
    jmp exit_isolated_here

// ---------------------------------------------------------------- vectors

// NMI, #MC and #DF run on their own IST pages and never touch the interrupted stack. The isolated ones open
// PKRU and put back what they found: no program runs on this processor meanwhile.
.macro OWN_STACK_STUB name, vector, has_error, isolated
.balign 16
\name:
    .if \has_error == 0
    pushq $0
    .endif
    pushq %rdi
    PUSH_REST
    cld
    .if \isolated
    xorl %ecx, %ecx
    rdpkru
    movl %eax, %ebp
    xorl %eax, %eax
    xorl %edx, %edx
    wrpkru
    testl %eax, %eax
    jnz isolated_abort
    .endif
    movq %rsp, %rdi
    movl $\vector, %esi
    movq $isounik_own_stack_interrupt, %rax
    call *%rax
    .if \isolated
    xorl %ecx, %ecx
    xorl %edx, %edx
    movl %ebp, %eax
    wrpkru
    .endif
    jmp exit_kernel_here
.endm

OWN_STACK_STUB nmi_confined, 2, 0, 0
OWN_STACK_STUB nmi_isolated, 2, 0, 1
OWN_STACK_STUB df_confined, 8, 1, 0
OWN_STACK_STUB df_isolated, 8, 1, 1
OWN_STACK_STUB mc_confined, 18, 0, 0
OWN_STACK_STUB mc_isolated, 18, 0, 1

// 16 bytes apart: mpk/exposed_slot.cpp computes their addresses.
.macro VECTOR_STUBS model
.balign 16
vectors_\model:
.set vector, 0
.rept 256
    .balign 16
    // Exceptions that push an error code: 8, 10 to 14, 17, 21, 29, 30 (SDM vol. 3, table 6-1).
    .if (vector == 8) || ((vector >= 10) && (vector <= 14)) || (vector == 17) || (vector == 21) || (vector == 29) || (vector == 30)
    .else
    pushq $0
    .endif
    pushq %rdi
    movl $vector, %edi
    jmp interrupt_\model
    .set vector, vector + 1
.endr
.endm
VECTOR_STUBS confined
VECTOR_STUBS isolated

// ---------------------------------------------------------------- addresses for C++: the kernel's code model
// cannot name symbols of the exposed slot. Order: mpk/exposed_slot.cpp, StubAddresses.
.section .rodata
.balign 8
.globl stub_addresses
stub_addresses:
    .quad vectors_confined, vectors_isolated
    .quad nmi_confined, nmi_isolated
    .quad df_confined, df_isolated
    .quad mc_confined, mc_isolated
    .quad syscall_confined, syscall_isolated
    .quad exit_confined, exit_isolated

.section .note.GNU-stack, "", @progbits
