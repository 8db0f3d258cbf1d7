// PVH entry (Xen's x86/HVM direct boot ABI): 32-bit protected mode, flat segments, paging off, EBX = start info.
// Makes first page tables (1 GiB at 0 and at KERNEL_BASE), enters 64-bit mode, calls boot_main(start_info).
// Also the start of the other processors (16-bit, copied to TRAMPOLINE_PAGE).
#include "arch/x86_64/asm_layout.h"
#include "boot/trampoline.h"

.section .note.Xen, "a", @note
    .long 4, 8, 18                 // name size, descriptor size, XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad pvh_start

.section .boot, "ax"
.code32
.globl pvh_start
pvh_start:
    cld
    movl %ebx, %esi                // start info
    // One page directory of 2 MiB pages serves both halves; the tables are in .boot.data, zeroed here.
    movl $boot_directory, %edi
    movl $0x83, %eax               // present, writable, 2 MiB
    movl $512, %ecx
1:  movl %eax, (%edi)
    movl $0, 4(%edi)
    addl $0x200000, %eax
    addl $8, %edi
    loop 1b
    movl $boot_directory + 3, boot_low_pointers
    movl $boot_directory + 3, boot_high_pointers + 510 * 8
    movl $boot_low_pointers + 3, boot_top
    movl $boot_high_pointers + 3, boot_top + 511 * 8
    movl $boot_top, %eax
    movl %eax, %cr3
    movl %cr4, %eax
    orl $0x20, %eax                // PAE
    movl %eax, %cr4
    movl $0xc0000080, %ecx         // EFER: LME, NXE, SCE
    rdmsr
    orl $0x901, %eax
    wrmsr
    movl %cr0, %eax
    orl $0x80010000, %eax          // PG, WP
    movl %eax, %cr0
    lgdt boot_gdt_pointer
    ljmp $0x10, $start64

.code64
start64:
    movl $0x18, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movq $boot_stack_top, %rsp
    xorl %ebp, %ebp
    movl %esi, %edi
    movq $boot_main, %rax
    call *%rax
    ud2

.balign 8
boot_gdt:
    .quad 0, 0
    .quad 0x00af9b000000ffff       // 0x10: 64-bit code
    .quad 0x00cf93000000ffff       // 0x18: data
boot_gdt_pointer:
    .word 31
    .quad boot_gdt

.section .boot.data, "aw"
.balign 4096
.globl boot_top
boot_top: .skip 4096
boot_low_pointers: .skip 4096
boot_high_pointers: .skip 4096
boot_directory: .skip 4096

// ---------------------------------------------------------------- other processors

// Copied to TRAMPOLINE_PAGE * 4096; a STARTUP IPI begins here in real mode with CS = page << 8. Data at fixed
// offsets is filled in by boot/processors.cpp.
.section .rodata
.globl trampoline_start
.globl trampoline_end
trampoline_start:
.code16
    cli
    cld
    movw %cs, %ax
    movw %ax, %ds
    lgdtl trampoline_gdt_pointer - trampoline_start
    movl %cr4, %eax
    orl $0x20, %eax
    movl %eax, %cr4
    movl trampoline_top_table - trampoline_start, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x901, %eax
    wrmsr
    movl %cr0, %eax
    orl $0x80010001, %eax          // PG, WP, PE: straight to long mode
    movl %eax, %cr0
    ljmpl $0x10, $(TRAMPOLINE_PAGE * 4096 + trampoline64 - trampoline_start)
.code64
trampoline64:
    movl $0x18, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movq trampoline_stack(%rip), %rsp
    xorl %ebp, %ebp
    movl trampoline_number(%rip), %edi
    movq $processor_main, %rax
    call *%rax
    ud2
.balign 8
trampoline_gdt:
    .quad 0, 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
trampoline_gdt_pointer:
    .word 31
    .long TRAMPOLINE_PAGE * 4096 + trampoline_gdt - trampoline_start
.balign 8
.globl trampoline_top_table
trampoline_top_table: .quad 0
.globl trampoline_stack
trampoline_stack: .quad 0
.globl trampoline_number
trampoline_number: .quad 0
trampoline_end:

.section .bss
.balign 4096
boot_stack: .skip 16384
.globl boot_stack_top
boot_stack_top:

.section .note.GNU-stack, "", @progbits
