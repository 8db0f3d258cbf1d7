// Entry and exit stubs, linked into the exposed slot (EXPOSED_STUBS). docs/architecture.md, "Ways in and out".
//
// Three sets: *_confined for programs in ring 3, *_isolated for programs in ring 0 with the kernel's key closed,
// *_none for programs in ring 0 with the kernel open. Every entry by the processor arrives with IF = 0. The stubs
// reach the exposed slot and the Processor page RIP-relative. No stub uses a program's stack, and FS and GS are
// left alone.
//
// A program in ring 0 can jump to any instruction here, with any registers, flags and RSP. What follows from it:
// - After every WRPKRU that opens, EAX is compared with 0; after every one that closes, the kernel's bit is tested.
// - Code behind an opening WRPKRU trusts nothing from before it: RSP is loaded from kernel memory or compared with
//   the only place where the processor can have put it, IF and DF are cleared.
// - Processor::in_program says who was interrupted. It is set while PKRU is still open and cleared when it is open
//   again, so that whatever arrives in between is the program's.
// - Whoever skips the WRPKRU faults at the first access to the Processor page.
// NMI and #DB can arrive between the WRPKRU and the change of in_program. They close PKRU when they return, and
// return to the window's restart label (stub_windows).
#include "arch/x86_64/asm_layout.h"
#include "arch/x86_64/kernel_stack_bits.h"
#include "core/weakness_bits.h"

// RIP-relative operands: an offset within the exposed slot, a field of arch::Processor (boot/kernel.ld).
#define EXPOSED(offset) (exposed_base + (offset))(%rip)
#define P(field) (processor_page + (field))(%rip)
#define S_RAX EXPOSED(EXPOSED_SCRATCH + 0)
#define S_RCX EXPOSED(EXPOSED_SCRATCH + 8)
#define S_RDX EXPOSED(EXPOSED_SCRATCH + 16)
#define S_FLAGS EXPOSED(EXPOSED_SCRATCH + 24)
#define S_RSP EXPOSED(EXPOSED_SCRATCH + 32)  // behind S_FLAGS
#define S_IRET (EXPOSED_SCRATCH + 64)
#define ENTRIES(model) P(PROCESSOR_ENTRIES + 8 * (model))

.section .rodata.stub_windows, "a"
.balign 8
.globl stub_windows
stub_windows:

.section .stubs, "ax"
.code64

// Where the frame ends when the processor has switched to this IST stack and the stub has pushed all.
#define IST_FRAME(stack) EXPOSED(stack + 0x1000 - FRAME_SIZE)

// Pushes rsi down to r15 (the error word and rdi are on the stack already) as TrapFrame orders them.
.macro PUSH_REST
    pushq %rsi
    pushq %rdx
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %rax
    pushq %rcx
    pushq %r11
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    cld
.endm

.macro POP_CALLEE_SAVED
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
.endm

// [start, end): an NMI or #DB there goes on at `restart`. Table for mpk/stub_windows.cpp.
.macro WINDOW start, end, restart
    .pushsection .rodata.stub_windows, "a"
    .quad \start, \end, \restart
    .popsection
.endm

// In debug kernels: jumps to `target` if the defence `bit` is switched off (core/weakness.h).
.macro IF_WEAKENED bit, target
#if ISOUNIK_KERNEL_DEBUG
    btl $\bit, isounik_weaknesses
    jc \target
#endif
.endm

// Opens PKRU; clobbers eax (0), ecx, edx. The window is open until OPENED.
.macro OPEN_KEYS name
opening_\name:
    xorl %eax, %eax
    xorl %ecx, %ecx
    xorl %edx, %edx
    wrpkru
    testl %eax, %eax               // somebody jumped to the instruction above with another value
    jnz isolated_abort
    IF_WEAKENED WEAKNESS_FLAG_MASK, 9f
    cli                            // ... or with interrupts on, or DF set
    cld
9:
.endm
.macro OPENED name
    movb $0, P(PROCESSOR_IN_PROGRAM)
opened_\name:
    WINDOW opening_\name, opened_\name, opening_\name
.endm

// Back to the program: sets in_program and loads its PKRU; clobbers eax, ecx, edx and the flags.
.macro CLOSE_KEYS name
    movb $1, P(PROCESSOR_IN_PROGRAM)
closing_\name:
    movl P(PROCESSOR_PROGRAM_PKRU), %eax
    xorl %ecx, %ecx
    xorl %edx, %edx
    wrpkru
    testl $PKRU_KERNEL_CLOSED, %eax
#if ISOUNIK_KERNEL_DEBUG
    jnz closed_\name
    testl $(1 << WEAKNESS_WRPKRU_COMPARE | 1 << WEAKNESS_KERNEL_KEY), isounik_weaknesses
    jnz closed_\name
    jmp isolated_abort
#else
    jz isolated_abort
#endif
closed_\name:
    WINDOW closing_\name, closed_\name, closed_\name
.endm

// ---------------------------------------------------------------- the kernel's own WRPKRU: arch::write_pkru()

// At the start of the stubs (arch/x86_64/pkru.cpp): PKRU becomes edi. A program that jumps to the WRPKRU dies.
set_keys:
    movl %edi, %eax
    xorl %ecx, %ecx
    xorl %edx, %edx
    wrpkru
    IF_WEAKENED WEAKNESS_WRPKRU_COMPARE, 9f
    cmpb $0, P(PROCESSOR_IN_PROGRAM)
    jne isolated_abort
9:  ret

// ---------------------------------------------------------------- system calls

// On the kernel stack, the program's RSP pushed: the words that system calls may need (arch/x86_64/trap_frame.h),
// and the call itself. Expects the number in rax; the program's rcx and rdx are at the operands.
.macro CALL_SYSTEM rcx, rdx
    pushq %r11
    pushq $SELECTOR_KERNEL_CODE    // a full frame gets its selectors in C++
    pushq \rcx
    pushq %rax
    pushq %rdi
    pushq %rsi
    pushq \rdx
    pushq %r8
    pushq %r9
    pushq %r10
    subq $FRAME_R10, %rsp
    movq P(PROCESSOR_CURRENT), %rdi
    movq %rsp, %rsi
    cmpq $SYSTEM_CALL_TABLE_SIZE, %rax
    jae 2f
1:  call *isounik_system_call_table(, %rax, 8)
    movq P(PROCESSOR_CURRENT), %rcx
    cmpw $0, THREAD_WORK(%rcx)
    jne system_call_work
    addq $FRAME_R10, %rsp
    popq %r10
    popq %r9
    popq %r8
    .subsection 1
2:  movl $SYSTEM_CALL_TABLE_SIZE, %eax
    jmp 1b
    .previous
.endm

.balign 64
syscall_confined:
    movq %rsp, P(PROCESSOR_SCRATCH)
    movq P(PROCESSOR_ENTRY_STACK), %rsp
    incq ENTRIES(0)
    pushq P(PROCESSOR_SCRATCH)
    CALL_SYSTEM %rcx, %rdx
    popq %rdx
    popq %rsi
    popq %rdi
    popq %rcx                      // the number
    popq %rcx                      // canonical: the last user page is never mapped
    popq %r11                      // CS
    popq %r11
    popq %rsp
    sysretq

.balign 64
syscall_isolated:
    movq %rax, S_RAX
    movq %rcx, S_RCX
    movq %rdx, S_RDX
    OPEN_KEYS syscall
    OPENED syscall
    movq %rsp, %rcx
    movq P(PROCESSOR_ENTRY_STACK), %rsp
    incq ENTRIES(1)
    movq S_RAX, %rax
    pushq %rcx
    CALL_SYSTEM S_RCX, S_RDX
    movq %rax, S_RAX
    popq S_RDX
    popq %rsi
    popq %rdi
    movq FRAME_RIP - FRAME_NUMBER(%rsp), %r11  // RCX and R11 are `syscall`'s to change
    addq $(FRAME_RFLAGS - FRAME_NUMBER), %rsp
    popq S_FLAGS
    popq S_RSP
    CLOSE_KEYS syscall
    // IF stays 0 until the last instruction but one. TF may trap here: resumed without a word (db_isolated).
    andl $~0x200, S_FLAGS
    leaq S_FLAGS, %rsp
    popfq
    popq %rsp
    movq S_RAX, %rax
    movq S_RDX, %rdx
    sti
    jmp *%r11

.balign 64
syscall_none:
    movq %rsp, P(PROCESSOR_SCRATCH)
    movq P(PROCESSOR_ENTRY_STACK), %rsp
    movb $0, P(PROCESSOR_IN_PROGRAM)
    incq ENTRIES(2)
    pushq P(PROCESSOR_SCRATCH)
    CALL_SYSTEM %rcx, %rdx
    popq %rdx
    popq %rsi
    popq %rdi
    movq FRAME_RIP - FRAME_NUMBER(%rsp), %r11
    addq $(FRAME_RFLAGS - FRAME_NUMBER), %rsp
    andq $~0x200, (%rsp)
    movb $1, P(PROCESSOR_IN_PROGRAM)
    popfq
    popq %rsp
    sti
    jmp *%r11

// ---------------------------------------------------------------- the call gate

// Called by programs in ring 0 with a system call's number and arguments in `syscall`'s registers (AT_ISOUNIK_CALL;
// libc-compat/vdso). As any C function it keeps rbx, rbp, r12 to r15 and the stack, and no flag but DF; the other
// registers come back as 0, since they would show what the kernel had in them. The return address stays on the
// program's stack, where the kernel never looks at it before PKRU is closed or a user copy reads it.
//
// The handler gets its arguments as a C function does, and the frame holds nothing yet but RSP (isounik_call_table,
// arch/x86_64/entry.h).

// On the kernel stack, the number in r11, the fourth argument in rcx: the call itself; then rsp is the program's again.
.macro CALL_DIRECTLY
    pushq %r10
    subq $FRAME_RSP, %rsp
    cmpq $SYSTEM_CALL_TABLE_SIZE, %r11
    jae 2f
    call *isounik_call_table(, %r11, 8)
1:  movq P(PROCESSOR_CURRENT), %rcx
    cmpw $0, THREAD_WORK(%rcx)
    jne call_work
    movq FRAME_RSP(%rsp), %rsp
    movq %rax, %r11
    xorl %esi, %esi
    xorl %edi, %edi
    xorl %r8d, %r8d
    xorl %r9d, %r9d
    xorl %r10d, %r10d
    .subsection 1
2:  call *isounik_call_table + 8 * SYSTEM_CALL_TABLE_SIZE
    jmp 1b
    .previous
.endm

.balign 64
call_isolated:
    movq %rax, %r11
    movq %rdx, S_RDX               // IF may be 1 up to OPEN_KEYS: call_resume()
call_saved:
    OPEN_KEYS call
    OPENED call
    movq S_RDX, %rdx
    movq %r10, %rcx
    movq %rsp, %r10
    movq P(PROCESSOR_ENTRY_STACK), %rsp
    incq ENTRIES(1)
    CALL_DIRECTLY
    CLOSE_KEYS call
    movq %r11, %rax
    sti
    ret

.balign 64
call_none:
    cli
    movq %rax, %r11
    movq %r10, %rcx
    movq %rsp, %r10
    movq P(PROCESSOR_ENTRY_STACK), %rsp
    movb $0, P(PROCESSOR_IN_PROGRAM)
    incq ENTRIES(2)
    CALL_DIRECTLY
    movb $1, P(PROCESSOR_IN_PROGRAM)
    xorl %ecx, %ecx
    xorl %edx, %edx
    movq %r11, %rax
    sti
    ret

// A frame without RIP says that it came by the call gate (abi, complete_frame()).
call_work:
    movq $0, FRAME_RIP(%rsp)

// Work on the way out (signals, preemption, restarts): with a full frame, in the kernel's text (system_call.S).
system_call_work:
    movq %rax, FRAME_RAX(%rsp)
    jmp *isounik_work_entry

// ---------------------------------------------------------------- full restore

// A program that has jumped over `syscall` brings its NT along, with which IRETQ faults, and a switch of threads
// carries it to others.
.macro CLEAR_FLAGS
    IF_WEAKENED WEAKNESS_FLAG_MASK, 9f
    pushq $2
    popfq
9:
.endm

// void exit_*(TrapFrame* frame): back to a program with everything from the frame on the kernel stack.
// exit_kernel is the way back into the kernel itself (an interrupted poll point, a resolved fault of a user copy).
.balign 16
exit_none:
    movb $1, P(PROCESSOR_IN_PROGRAM)
exit_confined:
    movq %rdi, %rsp
exit_kernel:
    CLEAR_FLAGS
    POP_CALLEE_SAVED
    popq %r11
    popq %rcx
    popq %rax
    popq %r10
    popq %r9
    popq %r8
    popq %rdx
    popq %rsi
    popq %rdi
    addq $8, %rsp
    iretq

// IRETQ reads its five words after PKRU is closed, so they are copied to the exposed scratch page first.
.balign 16
exit_isolated:
    movq %rdi, %rsp
    CLEAR_FLAGS
    leaq EXPOSED(S_IRET), %rdi
    leaq FRAME_RIP(%rsp), %rsi
    movl $5, %ecx
    rep movsq
    POP_CALLEE_SAVED
    popq %r11
    popq S_RCX
    popq S_RAX
    popq %r10
    popq %r9
    popq %r8
    popq S_RDX
    popq %rsi
    popq %rdi
    leaq EXPOSED(S_IRET), %rsp
    CLOSE_KEYS exit
    movq S_RAX, %rax
    movq S_RCX, %rcx
    movq S_RDX, %rdx
    iretq

// With in_program set: the program gets a signal.
isolated_abort:
    ud2

// ---------------------------------------------------------------- interrupts and exceptions on IST1

// With the error word and rdi pushed and the vector in edi.
.balign 64
interrupt_confined:
    PUSH_REST
    movl %edi, %ebx
    movq %rsp, %rsi
    testb $3, FRAME_CS(%rsp)
    jz kernel_interrupted
    incq ENTRIES(0)
    jmp copy_off_confined

.balign 64
interrupt_none:
    PUSH_REST
    movl %edi, %ebx
    movq %rsp, %rsi
    cmpb $0, P(PROCESSOR_IN_PROGRAM)
    je kernel_interrupted
    movb $0, P(PROCESSOR_IN_PROGRAM)
    incq ENTRIES(2)
    jmp copy_off_program

.balign 64
interrupt_isolated:
    PUSH_REST
    movl %edi, %ebx
#if ISOUNIK_KERNEL_DEBUG
    xorl %ecx, %ecx
    rdpkru
    movl %eax, %ebp
#endif
    OPEN_KEYS interrupt
    movq %rsp, %rsi
#if ISOUNIK_KERNEL_DEBUG
    btl $WEAKNESS_WHO_INTERRUPTED, isounik_weaknesses
    jnc 1f
    testl %ebp, %ebp               // what a program can put there itself
    jz kernel_interrupted
    jmp 2f
1:
#endif
    cmpb $0, P(PROCESSOR_IN_PROGRAM)
    je kernel_interrupted          // PKRU was open already
    leaq IST_FRAME(EXPOSED_IST1), %rax
    cmpq %rax, %rsp                // not where the processor puts it: somebody jumped here
    jne isolated_abort
2:  OPENED interrupt
    incq ENTRIES(1)

// A program was interrupted; its frame (rsi, rsp) moves to the thread's kernel stack. The IST page is wiped if the
// next program could read it.
copy_off_program:
    movq P(PROCESSOR_ENTRY_STACK), %rdi
    subq $(FRAME_SIZE - 8), %rdi
    movq %rdi, %rdx
    movl $FRAME_WORDS, %ecx
    rep movsq
    IF_WEAKENED WEAKNESS_IST_WIPE, program_interrupted
    movq %rsp, %rdi
    xorl %eax, %eax
    movl $FRAME_WORDS, %ecx
    rep stosq
    jmp program_interrupted
copy_off_confined:
    movq P(PROCESSOR_ENTRY_STACK), %rdi
    subq $(FRAME_SIZE - 8), %rdi
    movq %rdi, %rdx
    movl $FRAME_WORDS, %ecx
    rep movsq
program_interrupted:
    movq %rdx, %rsp
    movq %rdx, %rdi
    movzbl %bl, %esi
    movl $1, %edx
    movq $isounik_interrupt, %rax
    call *%rax
    movq %rsp, %rdi
    jmp *P(PROCESSOR_EXIT)         // of the model that the program has now

// The kernel was interrupted (frame in rsi): its stack below the interrupted frame takes the copy. If that is full, or
// if a stub was interrupted, the machine ends: neither happens unless the kernel or the processor is broken.
kernel_interrupted:
    leaq EXPOSED(0), %rax
    movq FRAME_RIP(%rsi), %rdi
    subq %rax, %rdi
    cmpq $EXPOSED_STUBS_END, %rdi
    jb stub_fault
    movq FRAME_RSP(%rsi), %rdi
    andq $-16, %rdi
    subq $FRAME_SIZE, %rdi
    testl $KERNEL_STACK_BIT, %edi
    jz 2f                          // the guard below a kernel stack?
1:  movq %rdi, %rdx
    movl $FRAME_WORDS, %ecx
    rep movsq
    movq %rsp, %rdi                // no program may see the kernel's registers
    xorl %eax, %eax
    movl $FRAME_WORDS, %ecx
    rep stosq
    movq %rdx, %rsp
    movq %rdx, %rdi
    movzbl %bl, %esi
    xorl %edx, %edx
    movq $isounik_interrupt, %rax
    call *%rax
    jmp exit_kernel
2:  movq %rdi, %rax
    shrq $39, %rax
    cmpl $KERNEL_STACKS_TOP_BITS, %eax
    jne 1b                         // another stack

// With the frame where the processor has put it.
stub_fault:
    movq %rsp, %rdi
    movl %ebx, %esi
    movq $isounik_stub_fault, %rax
    call *%rax
    ud2

// ---------------------------------------------------------------- NMI, #DB, #DF, #MC on stacks of their own

// Calls the kernel from a stub of a ring-0 model, with the frame on this stack; ebp: a program was interrupted. What is
// a fault of the program goes on as any exception of its own.
.macro OWN_STACK_CALL vector
    movq %rsp, %rdi
    movl $\vector, %esi
    movl %ebp, %edx
    movq $isounik_own_stack_interrupt, %rax
    call *%rax
    movl $\vector, %ebx
    movq %rsp, %rsi
    testl %eax, %eax
    jnz copy_off_program
.endm

// They never touch the interrupted stack, and run whatever is interrupted: also a stub. The C++ part may move RIP
// out of a stub's window, and says whether to go back at once (0) or to treat it as an exception of the program.
.macro OWN_STACK_STUB name, vector, stack, has_error
.balign 16
\name\()_confined:
    .if \has_error == 0
    pushq $0
    .endif
    pushq %rdi
    PUSH_REST
    movq %rsp, %rdi
    movl $\vector, %esi
    xorl %edx, %edx
    testb $3, FRAME_CS(%rsp)
    setnz %dl
    movl %edx, %ebp
    movq $isounik_own_stack_interrupt, %rax
    call *%rax
    testl %eax, %eax
    jz exit_kernel
    movl $\vector, %ebx
    movq %rsp, %rsi
    jmp copy_off_confined

.balign 16
\name\()_none:
    .if \has_error == 0
    pushq $0
    .endif
    pushq %rdi
    PUSH_REST
    movzbl P(PROCESSOR_IN_PROGRAM), %ebp
    movb $0, P(PROCESSOR_IN_PROGRAM)
    OWN_STACK_CALL \vector
    movb %bpl, P(PROCESSOR_IN_PROGRAM)
    jmp exit_kernel

.balign 16
\name\()_isolated:
    .if \has_error == 0
    pushq $0
    .endif
    pushq %rdi
    PUSH_REST
    OPEN_KEYS \name
    leaq IST_FRAME(\stack), %rax
    cmpq %rax, %rsp
    jne isolated_abort
    movzbl P(PROCESSOR_IN_PROGRAM), %ebp
    OPENED \name
    OWN_STACK_CALL \vector
    testl %ebp, %ebp
    jz exit_kernel                 // the kernel was interrupted: PKRU stays open
    CLOSE_KEYS \name
    jmp exit_kernel
.endm

OWN_STACK_STUB db, 1, EXPOSED_IST_DB, 0
OWN_STACK_STUB nmi, 2, EXPOSED_IST_NMI, 0
OWN_STACK_STUB df, 8, EXPOSED_IST_DF, 1
OWN_STACK_STUB mc, 18, EXPOSED_IST_MC, 0

// ---------------------------------------------------------------- vectors

// Exceptions that push an error code: 8, 10 to 14, 17, 21, 29, 30 (SDM vol. 3, table 6-1). `int n` in ring 0 gets
// there without one, which shows in the alignment of the frame: it becomes what ring 3 gets, #GP with the vector
// in the error code (SDM vol. 3, 6.12.1.2).
.macro ERROR_ENTRIES model
.balign 64
error_entries_\model:
.irp vector, 8, 10, 11, 12, 13, 14, 17, 21, 29, 30
    .balign 64
    testb $8, %spl
    jnz 1f
    pushq %rdi
    movl $\vector, %edi
    jmp interrupt_\model
1:  pushq $(\vector * 8 + 2)
    pushq %rdi
    movl $13, %edi
    jmp interrupt_\model
.endr
.endm
ERROR_ENTRIES confined
ERROR_ENTRIES isolated
ERROR_ENTRIES none

// 16 bytes apart: mpk/exposed_slot.cpp computes their addresses.
.macro VECTOR_STUBS model
.balign 16
vectors_\model:
.set vector, 0
.set with_error, 0
.rept 256
    .balign 16
    .if (vector == 8) || ((vector >= 10) && (vector <= 14)) || (vector == 17) || (vector == 21) || (vector == 29) || (vector == 30)
    jmp error_entries_\model + 64 * with_error
    .set with_error, with_error + 1
    .else
    pushq $0
    pushq %rdi
    movl $vector, %edi
    jmp interrupt_\model
    .endif
    .set vector, vector + 1
.endr
.endm
VECTOR_STUBS confined
VECTOR_STUBS isolated
VECTOR_STUBS none

// ---------------------------------------------------------------- addresses for C++: the kernel's code model
// cannot name symbols of the exposed slot. Order: mpk/exposed_slot.cpp, StubAddresses; within a row by arch::Model.
.section .rodata
.balign 8
.globl stub_addresses
stub_addresses:
.irp name, vectors, db, nmi, df, mc, syscall, exit, error_entries
    .quad \name\()_confined, \name\()_isolated, \name\()_none
.endr
    .quad 0, call_isolated, call_none
    .quad call_saved, opened_call
// system_call.S.
isounik_work_entry:
    .quad isounik_system_call_with_work

.section .rodata.stub_windows
.globl stub_windows_end
stub_windows_end:

.section .note.GNU-stack, "", @progbits
