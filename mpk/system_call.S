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

// Stands in isounik_call_table for calls that want the arguments in the frame: those that need a full frame, unknown
// ones, and all of them while they are traced. From the call gate: the number in r11, arguments as a C function's.
.globl isounik_call_by_frame
isounik_call_by_frame:
    movq %rdi, 8 + FRAME_RDI(%rsp)
    movq %rsi, 8 + FRAME_RSI(%rsp)
    movq %rdx, 8 + FRAME_RDX(%rsp)
    movq %rcx, 8 + FRAME_R10(%rsp)
    movq %r8, 8 + FRAME_R8(%rsp)
    movq %r9, 8 + FRAME_R9(%rsp)
    movq %r11, 8 + FRAME_NUMBER(%rsp)
    movq $0, 8 + FRAME_RIP(%rsp)
    movabsq $PROCESSOR_BASE + PROCESSOR_CURRENT, %rax
    movq (%rax), %rdi
    leaq 8(%rsp), %rsi
    cmpq $SYSTEM_CALL_TABLE_SIZE, %r11
    jb 1f
    movl $SYSTEM_CALL_TABLE_SIZE, %r11d
1:  jmp *isounik_system_call_table(, %r11, 8)

// Stands in the table of handlers for the calls that read or replace all registers.
.globl isounik_full_frame_call
isounik_full_frame_call:
    addq $8, %rsp                  // never returns to the stub
    SAVE_CALLEE_SAVED
    movq %rsp, %rdi
    call isounik_full_system_call
    jmp leave

.section .note.GNU-stack, "", @progbits
