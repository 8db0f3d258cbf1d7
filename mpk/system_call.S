// System calls that need a full frame: the part of the way that lies in the kernel's text, for all models, because
// the program may have another model, and other stubs, when it leaves.
#include "arch/x86_64/asm_layout.h"

.macro SAVE_CALLEE_SAVED
    movq %r15, FRAME_R15(%rsp)
    movq %r14, FRAME_R14(%rsp)
    movq %r13, FRAME_R13(%rsp)
    movq %r12, FRAME_R12(%rsp)
    movq %rbp, FRAME_RBP(%rsp)
    movq %rbx, FRAME_RBX(%rsp)
.endm

.text
// From the stubs: rsp is the frame, with the result in rax's place. C++ has kept the callee-saved registers.
.globl isounik_system_call_with_work
isounik_system_call_with_work:
    SAVE_CALLEE_SAVED
    movq %rsp, %rdi
    call isounik_system_call_work
leave:
    movq %rsp, %rdi
    movabsq $PROCESSOR_BASE + PROCESSOR_EXIT, %rax
    jmp *(%rax)

// Stands in the table of handlers for the calls that read or replace all registers.
.globl isounik_full_frame_call
isounik_full_frame_call:
    addq $8, %rsp                  // never returns to the stub
    SAVE_CALLEE_SAVED
    movq %rsp, %rdi
    call isounik_full_system_call
    jmp leave

.section .note.GNU-stack, "", @progbits
