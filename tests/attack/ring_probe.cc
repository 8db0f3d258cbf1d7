// Reports the privilege that this program runs with, and what an access to kernel memory does. Run by
// tests/attack/run under both models; the expected lines stand there.
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

namespace {

sigjmp_buf back;
volatile siginfo_t seen;

void on_fault(int, siginfo_t* info, void*) {
    memcpy(const_cast<siginfo_t*>(&seen), info, sizeof(seen));
    siglongjmp(back, 1);
}

unsigned ring() {
    uint16_t cs;
    asm("mov %%cs, %0" : "=r"(cs));
    return cs & 3;
}

// The program's view: Linux's initial value closes every key but 0, and so the kernel's (15).
uint32_t pkru() {
    uint32_t value, edx;
    asm volatile("rdpkru" : "=a"(value), "=d"(edx) : "c"(0));
    return value;
}

// "read of the direct map: SEGV" or "... succeeded".
template <typename Access>
void attempt(const char* what, Access access) {
    if (sigsetjmp(back, 1) == 0) {
        access();
        printf("%s: succeeded\n", what);
    } else {
        printf("%s: signal %d\n", what, seen.si_signo);
    }
}

// A leaf function keeps data below RSP while the timer ticks and while it makes a system call.
__attribute__((noinline)) uint64_t red_zone_survives(long rounds) {
    uint64_t bad;
    asm volatile(
        "movabs $0x1122334455667788, %%rax\n"
        "mov %%rax, -8(%%rsp)\n mov %%rax, -64(%%rsp)\n mov %%rax, -128(%%rsp)\n"
        "mov %%rax, %%r8\n xor %%r9d, %%r9d\n"
        "1: mov $39, %%eax\n syscall\n"
        "cmp %%r8, -8(%%rsp)\n jne 2f\n cmp %%r8, -64(%%rsp)\n jne 2f\n cmp %%r8, -128(%%rsp)\n jne 2f\n"
        "dec %[rounds]\n jnz 1b\n jmp 3f\n"
        "2: inc %%r9\n"
        "3: mov %%r9, %[bad]\n"
        : [bad] "=r"(bad), [rounds] "+r"(rounds) : : "rax", "rcx", "r8", "r9", "r11", "memory", "cc");
    return bad;
}

// Registers and flags that a system call must keep (System V ABI, syscall(2)): all but rax, rcx, r11.
__attribute__((noinline)) bool registers_survive() {
    uint64_t bad = 0;
    asm volatile(
        "mov $0x101, %%edi\n mov $0x102, %%esi\n mov $0x103, %%edx\n mov $0x104, %%r8d\n mov $0x105, %%r9d\n"
        "mov $0x106, %%r10d\n mov $0x107, %%r12d\n mov $0x108, %%r13d\n mov $0x109, %%r14d\n mov $0x10a, %%r15d\n"
        "mov $39, %%eax\n stc\n syscall\n jc 1f\n incq %[bad]\n 1:\n"
        "cmp $0x101, %%edi\n jne 2f\n cmp $0x102, %%esi\n jne 2f\n cmp $0x103, %%edx\n jne 2f\n"
        "cmp $0x104, %%r8d\n jne 2f\n cmp $0x105, %%r9d\n jne 2f\n cmp $0x106, %%r10d\n jne 2f\n"
        "cmp $0x107, %%r12d\n jne 2f\n cmp $0x108, %%r13d\n jne 2f\n cmp $0x109, %%r14d\n jne 2f\n"
        "cmp $0x10a, %%r15d\n je 3f\n 2: incq %[bad]\n 3:\n"
        : [bad] "+m"(bad) : : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
                              "r15", "memory", "cc");
    return bad == 0;
}

}  // namespace

int main() {
    setvbuf(stdout, nullptr, _IONBF, 0);
    struct sigaction action = {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &action, nullptr);
    sigaction(SIGBUS, &action, nullptr);

    printf("ring %u\n", ring());
    printf("PKRU %x\n", pkru());
    attempt("read of the direct map", [] { (void)*reinterpret_cast<volatile char*>(0xffff800000100000); });
    attempt("write to the direct map", [] { *reinterpret_cast<volatile char*>(0xffff800000100000) = 1; });
    attempt("read of the kernel image", [] { (void)*reinterpret_cast<volatile char*>(0xffffffff80110000); });
    attempt("read of the processor's data", [] { (void)*reinterpret_cast<volatile char*>(0xfffffefffffff000); });
    attempt("read of address 0", [] { (void)*reinterpret_cast<volatile char*>(0); });
    attempt("read of a hole", [] { (void)*reinterpret_cast<volatile char*>(0x10000000000); });
    printf("red zone: %s\n", red_zone_survives(200000) == 0 ? "kept" : "damaged");
    printf("registers: %s\n", registers_survive() ? "kept" : "damaged");
    printf("PKRU after it all: %x\n", pkru());

    // A child that is killed by a fault, and one that spins until it is preempted and killed.
    int status;
    pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        *reinterpret_cast<volatile char*>(0xffff800000100000) = 1;
        _exit(0);
    }
    waitpid(child, &status, 0);
    printf("child: signal %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    child = fork();
    if (child == 0) for (;;) {}
    timespec moment{0, 50'000'000};
    nanosleep(&moment, nullptr);
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    printf("spinning child: signal %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    return 0;
}
