// How addresses of kernel stacks look, for the entry stubs; mm/kernel_stacks.cpp checks it.
#pragma once

// A stack is the upper half of a block of twice its size, the lower half is never mapped.
#define KERNEL_STACK_BIT 0x4000           // set in every address of a stack, clear in those of its guard
#define KERNEL_STACKS_TOP_BITS 0x1ffff80  // of all of them, from bit 39 up: a top-level slot of their own
