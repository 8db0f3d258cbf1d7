// Addresses and offsets that assembly and C++ share; layout.h and the structures check them by static_assert.
#pragma once

#define KERNEL_BASE 0xffffffff80000000
#define EXPOSED_BASE 0xffffff0000000000
// The last page of its slot, so that the stubs of the next slot reach it RIP-relative.
#define PROCESSOR_BASE 0xfffffefffffff000
#define ARMED_BASE 0xfffffeffffffd000  // arch/x86_64/armed.h

// Pages of the exposed slot, relative to EXPOSED_BASE (docs/architecture.md, "The exposed slot").
#define EXPOSED_GATE 0x0000      // jump to the model's system-call stub; LSTAR points here
#define EXPOSED_CALL_GATE 0x0010 // jump to the model's call gate
#define EXPOSED_STUBS 0x1000     // text of all entry and exit stubs
#define EXPOSED_STUBS_END 0x10000
#define EXPOSED_IDT 0x10000
#define EXPOSED_GDT 0x11000      // GDT, and the TSS at + 0x800
#define EXPOSED_TSS 0x11800
#define EXPOSED_SCRATCH 0x12000  // the isolated stubs' words; holds nothing but the running program's registers
#define EXPOSED_SCRATCH_WORDS 13
#define EXPOSED_IST1 0x14000     // interrupts and exceptions; each stack is one page between unmapped ones
#define EXPOSED_IST_NMI 0x16000
#define EXPOSED_IST_DF 0x18000
#define EXPOSED_IST_MC 0x1a000
#define EXPOSED_IST_DB 0x1c000
#define EXPOSED_STEP 0x1e000     // isolated: where single instructions of programs are executed (process/code_site.h)

// Selectors, as Linux numbers them (programs can read CS and SS).
#define SELECTOR_KERNEL_CODE 0x10
#define SELECTOR_KERNEL_DATA 0x18
#define SELECTOR_USER_DATA 0x2b
#define SELECTOR_USER_CODE 0x33
#define SELECTOR_TSS 0x40

// arch::Processor.
#define PROCESSOR_ENTRY_STACK 0
#define PROCESSOR_SCRATCH 8
#define PROCESSOR_CURRENT 16
#define PROCESSOR_EXIT 24
#define PROCESSOR_PROGRAM_PKRU 32
#define PROCESSOR_IN_PROGRAM 36
#define PROCESSOR_ENTRIES 40

// sched::Thread: interrupt_pending and exit_work, two bytes.
#define THREAD_WORK 12

// arch::TrapFrame. What a system call without work leaves alone lies together at the low end.
#define FRAME_R15 0
#define FRAME_R14 8
#define FRAME_R13 16
#define FRAME_R12 24
#define FRAME_RBP 32
#define FRAME_RBX 40
#define FRAME_RAX 64
#define FRAME_R10 72
#define FRAME_R9 80
#define FRAME_R8 88
#define FRAME_RDX 96
#define FRAME_RSI 104
#define FRAME_RDI 112
#define FRAME_NUMBER 120  // of the system call
#define FRAME_RIP 128
#define FRAME_CS 136
#define FRAME_RFLAGS 144
#define FRAME_RSP 152
#define FRAME_SS 160
#define FRAME_SIZE 168
#define FRAME_WORDS 21

// Entries of isounik_system_call_table; one more follows, for numbers past its end.
#define SYSTEM_CALL_TABLE_SIZE 512

// The kernel's protection key is the last one, so that programs get 1 to 14 in Linux's order and Linux's initial
// PKRU (0x55555554) closes the kernel.
#define KERNEL_KEY 15
#define PKRU_KERNEL_CLOSED 0x40000000  // access disabled for KERNEL_KEY
