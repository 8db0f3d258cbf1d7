// The armed page: the running kernel's instructions that would give a program in ring 0 all power, in one page that
// is executable only while the kernel uses one of them (armed.cpp). Linked at ARMED_BASE (boot/kernel.ld).
.section .armed, "ax"
.code64
write_cr3:
    movq %rdi, %cr3
    ret
read_msr:
    movl %edi, %ecx
    rdmsr
    shlq $32, %rdx
    orq %rdx, %rax
    ret
write_msr:
    movl %edi, %ecx
    movq %rsi, %rax
    movq %rsi, %rdx
    shrq $32, %rdx
    wrmsr
    ret
load_idt:
    lidt (%rdi)
    ret

// The kernel's code model cannot name symbols of that page. Order: armed.cpp.
.section .rodata
.balign 8
.globl armed_functions
armed_functions:
    .quad write_cr3, read_msr, write_msr, load_idt

.section .note.GNU-stack, "", @progbits
