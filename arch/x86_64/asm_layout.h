// Addresses and offsets that assembly and C++ share; layout.h and the structures check them by static_assert.
#pragma once

#define KERNEL_BASE 0xffffffff80000000
#define EXPOSED_BASE 0xffffff0000000000
#define PROCESSOR_BASE 0xfffffe8000000000

// Pages of the exposed slot, relative to EXPOSED_BASE (docs/architecture.md, "The exposed slot").
#define EXPOSED_GATE 0x0000      // jump to the model's system-call stub; LSTAR points here
#define EXPOSED_STUBS 0x1000     // text of all entry and exit stubs
#define EXPOSED_STUBS_END 0x10000
#define EXPOSED_IDT 0x10000
#define EXPOSED_GDT 0x11000      // GDT, and the TSS at + 0x800
#define EXPOSED_TSS 0x11800
#define EXPOSED_SCRATCH 0x12000  // confined: the Processor page; isolated: a page of its own
#define EXPOSED_IST1 0x14000     // interrupts and exceptions; each stack is one page between unmapped ones
#define EXPOSED_IST_NMI 0x16000
#define EXPOSED_IST_DF 0x18000
#define EXPOSED_IST_MC 0x1a000
#define EXPOSED_IST_DB 0x1c000

// Selectors, as Linux numbers them (programs can read CS and SS).
#define SELECTOR_KERNEL_CODE 0x10
#define SELECTOR_KERNEL_DATA 0x18
#define SELECTOR_USER_DATA 0x2b
#define SELECTOR_USER_CODE 0x33
#define SELECTOR_TSS 0x40

// arch::Processor.
#define PROCESSOR_KERNEL_STACK 0
#define PROCESSOR_SCRATCH 8

// arch::TrapFrame.
#define FRAME_R11 48
#define FRAME_RAX 80
#define FRAME_RCX 88
#define FRAME_RDI 112
#define FRAME_RIP 128
#define FRAME_CS 136
#define FRAME_RFLAGS 144
#define FRAME_RSP 152
#define FRAME_SIZE 168
#define FRAME_WORDS 21

// PKRU of an isolated program: every key but 0 closed for access (as Linux's initial PKRU), the kernel's too.
#define PKRU_ISOLATED 0x55555554
#define KERNEL_KEY 1
