// Attacks by instructions that ring 0 makes powerful: in plain sight, and hidden in others.
#include <unistd.h>

#include "attack.h"

namespace {

using namespace attack;

// Executes an instruction of this program's text; a breach if no signal comes.
#define IN_PLAIN_SIGHT(name, what, ...)                                   \
    ATTACK(name) {                                                        \
        int signal = attempt([] { asm volatile(__VA_ARGS__); });          \
        if (signal == 0) breach(what " was executed");                    \
        else refused(signal == SIGSEGV ? "SIGSEGV" : signal == SIGILL ? "SIGILL" : "another signal"); \
    }

}  // namespace

IN_PLAIN_SIGHT(rdmsr, "RDMSR", "rdmsr" : : "c"(0xc0000080) : "rax", "rdx")
IN_PLAIN_SIGHT(wrmsr, "WRMSR", "wrmsr" : : "c"(0xc0000102), "a"(0), "d"(0))
IN_PLAIN_SIGHT(read_cr3, "MOV from CR3", "mov %%cr3, %%rax" : : : "rax")
IN_PLAIN_SIGHT(write_cr4, "MOV to CR4", "mov %%cr4, %%rax\n mov %%rax, %%cr4" : : : "rax")
IN_PLAIN_SIGHT(lidt, "LIDT", "sub $16, %%rsp\n sidt (%%rsp)\n lidt (%%rsp)\n add $16, %%rsp" : : : "memory")
IN_PLAIN_SIGHT(debug_registers, "MOV to DR7", "mov %%dr7, %%rax\n mov %%rax, %%dr7" : : : "rax")
IN_PLAIN_SIGHT(port_write, "OUT", "outb %%al, $0x80" : : "a"(0))
IN_PLAIN_SIGHT(port_read, "IN", "inb $0x80, %%al" : : : "rax")
IN_PLAIN_SIGHT(interrupts_off, "CLI", "cli")
IN_PLAIN_SIGHT(halt, "HLT", "hlt")
// Hypercalls: KVM takes them from ring 0 only. TCG knows none, so that no run with a defence off can show them.
IN_PLAIN_SIGHT(vmcall, "VMCALL", "vmcall" : : "a"(0) : "memory")
IN_PLAIN_SIGHT(vmmcall, "VMMCALL", "vmmcall" : : "a"(0) : "memory")

// POPF gives no signal in ring 3, and changes neither IF nor IOPL.
ATTACK(interrupts_off_by_popf) {
    uint64_t flags;
    asm volatile("pushf\n andq $~0x200, (%%rsp)\n orq $0x3000, (%%rsp)\n popf\n pushf\n pop %0" : "=r"(flags) : : "memory");
    if (!(flags & 0x200) || (flags & 0x3000)) breach("POPF changed IF or IOPL");
    else refused("IF and IOPL are what they were");
}

// A program may execute WRPKRU: where the kernel's key governs, the kernel emulates it. No system call may come between
// it and the look.
ATTACK(wrpkru_in_plain_sight) {
    int signal = attempt([] {
        asm volatile("wrpkru" : : "a"(0), "c"(0), "d"(0) : "memory");
        (void)*reinterpret_cast<volatile uint64_t*>(kProcessorPage);
    });
    if (signal == 0) breach("the kernel's key was opened");
    else refused("the kernel's memory stays closed");
}

// Bytes in the immediates of ordinary instructions, jumped at: what hijacked control flow does. Inspection keeps the
// long ones from an isolated program; the short ones stay (docs/security.md).
#define HIDDEN(name, what, bytes)                                                                           \
    ATTACK(name) {                                                                                          \
        int signal = attempt([] {                                                                           \
            /* The branch that is never taken proves to the inspection that there is code at 2. */            \
            asm volatile("lea 2f+1(%%rip), %%rsi\n xor %%edx, %%edx\n mov $0xc0000102, %%ecx\n"             \
                         "xor %%eax, %%eax\n jnz 2f\n jmp *%%rsi\n"                                         \
                         "2: mov $" bytes ", %%eax\n" : : : "rax", "rcx", "rdx", "rsi", "memory", "cc");    \
        });                                                                                                 \
        if (signal == 0) breach(what " was executed");                                                      \
        else refused("it got a signal");                                                                    \
    }
HIDDEN(hidden_wrmsr, "a hidden WRMSR", "0x9090300f")
HIDDEN(hidden_read_cr3, "a hidden MOV from CR3", "0x90d8200f")
// The same over two pages: 0F is the last byte of one, 30 the first of the next.
ATTACK(hidden_wrmsr_over_pages) {
    int signal = attempt([] {
        asm volatile("lea 2f+1(%%rip), %%rsi\n xor %%edx, %%edx\n mov $0xc0000102, %%ecx\n"
                     "xor %%eax, %%eax\n jmp 3f\n"
                     ".balign 4096\n .fill 4094, 1, 0x90\n"
                     "2: mov $0x9090300f, %%eax\n jmp 4f\n"
                     "3: jnz 2b\n jmp *%%rsi\n"
                     "4:" : : : "rax", "rcx", "rdx", "rsi", "memory", "cc");
    });
    if (signal == 0) breach("a hidden WRMSR was executed");
    else refused("it got a signal");
}
HIDDEN(hidden_port_write, "a hidden OUT", "0x909080e6")
HIDDEN(hidden_interrupts_off, "a hidden CLI", "0x9090fbfa")

// The instruction that hides them still does what it says.
ATTACK(hosts_of_hidden_bytes_work) {
    uint32_t value;
    asm volatile("mov $0x9090300f, %0" : "=r"(value));
    if (value != 0x9090300f) breach("an ordinary instruction was damaged");
    asm volatile("mov $0x00ef010f, %0" : "=r"(value));
    if (value != 0x00ef010f) breach("an ordinary instruction was damaged");
    refused("immediates are what they were");
}
