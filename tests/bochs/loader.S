// Boot sector: copies parts of the disk to their places in memory, and enters the kernel as PVH wants it (32-bit
// protected mode, flat segments, paging off, EBX = start info; docs/boot-protocol.md). ./disk fills in `parts`.
// The disk is the first ATA one, read by programmed I/O with 28-bit addresses (ATA/ATAPI-6, READ SECTORS).
#include "layout.h"

.code16
.globl start
start:
    cli
    xorw %ax, %ax
    movw %ax, %ds
    inb $0x92, %al                 // A20
    orb $2, %al
    outb %al, $0x92
    lgdtl gdt_pointer
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmpl $8, $protected

.code32
protected:
    movw $16, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl $start, %esp
    cld
    movl $parts, %ebp
next_part:
    movl (%ebp), %ebx              // first sector
    movl 4(%ebp), %edi             // physical address
    movl 8(%ebp), %esi             // sectors; 0 ends the table
    testl %esi, %esi
    jz done
next_command:
    movl $128, %eax
    cmpl %eax, %esi
    cmovbl %esi, %eax
    pushl %eax
    movw $0x1f2, %dx               // sector count
    outb %al, %dx
    movl %ebx, %eax
    incw %dx                       // address, low to high
    outb %al, %dx
    shrl $8, %eax
    incw %dx
    outb %al, %dx
    shrl $8, %eax
    incw %dx
    outb %al, %dx
    shrl $8, %eax
    orb $0xe0, %al                 // LBA, device 0
    incw %dx
    outb %al, %dx
    incw %dx
    movb $0x20, %al                // READ SECTORS
    outb %al, %dx
    popl %eax
    addl %eax, %ebx
    subl %eax, %esi
    movl %eax, %ecx
next_sector:
    pushl %ecx
    movw $0x1f7, %dx
1:  inb %dx, %al
    andb $0x88, %al
    cmpb $8, %al                   // DRQ without BSY
    jne 1b
    movw $0x1f0, %dx
    movl $128, %ecx
    rep insl
    popl %ecx
    loop next_sector
    testl %esi, %esi
    jnz next_command
    addl $12, %ebp
    jmp next_part
done:
    movl $START_INFO, %ebx
    movl $KERNEL, %eax
    jmp *%eax

.balign 8
gdt:
    .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
    .word 23
    .long gdt

. = PARTS
parts:
    .skip 510 - PARTS
    .word 0xaa55
