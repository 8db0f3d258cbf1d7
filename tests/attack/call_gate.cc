// call_gate [confine|ticks]: the call gate (mpk/stubs.S) as a program uses it, by its address in the auxiliary vector and by
// the vDSO's __isounik_call. Prints a line for each property, "... yes" or "... NO".
//
// `confine`: the program becomes confined while it holds the gate's address. `ticks`: many calls while the timer
// interrupts the way into the gate.
#include <elf.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <initializer_list>

namespace {

constexpr unsigned long kAtIsoUnikCall = 0x49736f55;  // process/argument_stack.h

const char* vdso_symbol(const char* name) {
    auto base = reinterpret_cast<const char*>(getauxval(AT_SYSINFO_EHDR));
    if (!base) return nullptr;
    auto header = reinterpret_cast<const Elf64_Ehdr*>(base);
    auto segments = reinterpret_cast<const Elf64_Phdr*>(base + header->e_phoff);
    const Elf64_Dyn* dynamic = nullptr;
    for (int i = 0; i < header->e_phnum; i++) {
        if (segments[i].p_type == PT_DYNAMIC) dynamic = reinterpret_cast<const Elf64_Dyn*>(base + segments[i].p_vaddr);
    }
    const Elf64_Sym* symbols = nullptr;
    const char* strings = nullptr;
    const uint32_t* hash = nullptr;
    for (; dynamic && dynamic->d_tag != DT_NULL; dynamic++) {
        const char* at = base + dynamic->d_un.d_ptr;
        if (dynamic->d_tag == DT_SYMTAB) symbols = reinterpret_cast<const Elf64_Sym*>(at);
        if (dynamic->d_tag == DT_STRTAB) strings = at;
        if (dynamic->d_tag == DT_HASH) hash = reinterpret_cast<const uint32_t*>(at);
    }
    if (!symbols || !strings || !hash) return nullptr;
    for (uint32_t i = 0; i < hash[1]; i++) {
        if (strcmp(strings + symbols[i].st_name, name) == 0) return base + symbols[i].st_value;
    }
    return nullptr;
}

extern "C" {
struct Registers {
    uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15, rsp_moved;
};
void call_with(const char* gate, Registers* registers);
}
// All registers in, all registers out.
asm(R"(
.globl call_with
call_with:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    push %rsi
    push %rdi
    mov 0(%rsi), %rax
    mov 8(%rsi), %rbx
    mov 16(%rsi), %rcx
    mov 24(%rsi), %rdx
    mov 40(%rsi), %rdi
    mov 48(%rsi), %rbp
    mov 56(%rsi), %r8
    mov 64(%rsi), %r9
    mov 72(%rsi), %r10
    mov 80(%rsi), %r11
    mov 88(%rsi), %r12
    mov 96(%rsi), %r13
    mov 104(%rsi), %r14
    mov 112(%rsi), %r15
    mov 32(%rsi), %rsi
    mov %rsp, rsp_before(%rip)
    call *(%rsp)
    mov %rsp, rsp_after(%rip)
    mov rsp_before(%rip), %rsp
    mov %rsi, rsi_after(%rip)
    mov 8(%rsp), %rsi
    mov %rax, 0(%rsi)
    mov %rbx, 8(%rsi)
    mov %rcx, 16(%rsi)
    mov %rdx, 24(%rsi)
    mov %rdi, 40(%rsi)
    mov %rbp, 48(%rsi)
    mov %r8, 56(%rsi)
    mov %r9, 64(%rsi)
    mov %r10, 72(%rsi)
    mov %r11, 80(%rsi)
    mov %r12, 88(%rsi)
    mov %r13, 96(%rsi)
    mov %r14, 104(%rsi)
    mov %r15, 112(%rsi)
    mov rsi_after(%rip), %rax
    mov %rax, 32(%rsi)
    mov rsp_after(%rip), %rax
    sub rsp_before(%rip), %rax
    mov %rax, 120(%rsi)
    pop %rdi
    pop %rsi
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
.local rsp_before, rsp_after, rsi_after
.comm rsp_before, 8
.comm rsp_after, 8
.comm rsi_after, 8
)");

const char* gate;

long call(long number, uint64_t a = 0, uint64_t b = 0, uint64_t c = 0, uint64_t d = 0, uint64_t e = 0, uint64_t f = 0) {
    Registers r{};
    r.rax = static_cast<uint64_t>(number);
    r.rdi = a, r.rsi = b, r.rdx = c, r.r10 = d, r.r8 = e, r.r9 = f;
    call_with(gate, &r);
    return static_cast<long>(r.rax);
}
uint64_t word(const void* pointer) { return reinterpret_cast<uint64_t>(pointer); }

void say(const char* what, bool good) { printf("%s: %s\n", what, good ? "yes" : "NO"); }

bool ring0() {
    uint16_t cs;
    asm volatile("mov %%cs, %0" : "=r"(cs));
    return (cs & 3) == 0;
}

// What a C function keeps is kept; nothing of the kernel's comes back in the other registers.
bool registers_are_right() {
    char buffer[64];
    bool good = true;
    for (long number : {long{SYS_getpid}, long{SYS_getrandom}, long{SYS_uname}, long{SYS_sched_yield}, 511L}) {
        Registers r{};
        r.rax = static_cast<uint64_t>(number);
        r.rdi = word(buffer);
        r.rsi = number == SYS_uname ? 0 : sizeof buffer;
        char name[400];
        if (number == SYS_uname) r.rdi = word(name);
        r.rbx = 0xb0, r.rbp = 0xb1, r.r12 = 0xb2, r.r13 = 0xb3, r.r14 = 0xb4, r.r15 = 0xb5;
        uint64_t first = r.rdi, second = r.rsi;
        call_with(gate, &r);
        good = good && r.rbx == 0xb0 && r.rbp == 0xb1 && r.r12 == 0xb2 && r.r13 == 0xb3 && r.r14 == 0xb4 &&
               r.r15 == 0xb5 && r.rsp_moved == 0;
        // Their own values, nothing, or, if there was something to do on the way out, a way back like that of `syscall`.
        good = good && (r.rdi == 0 || r.rdi == first) && (r.rsi == 0 || r.rsi == second) && r.rdx == 0 && r.r8 == 0 &&
               r.r9 == 0 && r.r10 == 0;
    }
    return good;
}

int ends[2];
volatile int handled;
void on_alarm(int) {
    handled = handled + 1;
    char byte = 'x';
    if (write(ends[1], &byte, 1) != 1) abort();
}

long interrupted_read(int flags) {
    struct sigaction action {};
    action.sa_handler = on_alarm;
    action.sa_flags = flags;
    sigaction(SIGALRM, &action, nullptr);
    itimerval timer{{0, 0}, {0, 20000}};
    setitimer(ITIMER_REAL, &timer, nullptr);
    char byte = 0;
    long result = call(SYS_read, static_cast<uint64_t>(ends[0]), word(&byte), 1);
    if (result < 0 && read(ends[0], &byte, 1) != 1) return 0;
    return result;
}

// nanosleep() goes on by restart_syscall().
bool sleep_survives_stop() {
    pid_t self = getpid(), child = fork();
    if (child == 0) {
        usleep(20000);
        kill(self, SIGSTOP);
        usleep(20000);
        kill(self, SIGCONT);
        _exit(0);
    }
    timespec time{0, 100'000'000};
    long result = call(SYS_nanosleep, word(&time), 0);
    waitpid(child, nullptr, 0);
    return result == 0;
}

bool forks() {
    long child = call(SYS_fork);
    if (child == 0) call(SYS_exit_group, 7);
    int status = 0;
    return child > 0 && waitpid(static_cast<pid_t>(child), &status, 0) == child && WIFEXITED(status) &&
           WEXITSTATUS(status) == 7;
}

volatile int steps;
void on_step(int) {
    steps = steps + 1;
}
// TF goes into the gate and comes back: each instruction behind the call is a step again.
bool steps_through() {
    struct sigaction action {};
    action.sa_handler = on_step;
    sigaction(SIGTRAP, &action, nullptr);
    long result = SYS_getpid;
    int before = 0, after = 0;
    asm volatile(
        "pushfq\n orl $0x100, (%%rsp)\n popfq\n"
        "call *%[gate]\n"
        "movl %[steps], %[before]\n"
        "nop\n nop\n nop\n nop\n"
        "movl %[steps], %[after]\n"
        "pushfq\n andl $~0x100, (%%rsp)\n popfq\n"
        : "+a"(result), [before] "=&b"(before), [after] "=&r"(after)
        : [gate] "m"(gate), [steps] "m"(steps)
        : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
    return result == getpid() && after - before == 5;
}

void check_all(const char* name) {
    char line[128];
    auto report = [&](const char* what, bool good) {
        snprintf(line, sizeof line, "%s %s", name, what);
        say(line, good);
    };
    report("getpid", call(SYS_getpid) == getpid());
    report("unknown numbers", call(511) == -ENOSYS && call(512) == -ENOSYS && call(-1) == -ENOSYS &&
                                  call(1l << 32) == -ENOSYS);
    report("errors", call(SYS_read, ~0ul, 0, 1) == -EBADF && call(SYS_uname, 8) == -EFAULT);
    long page = call(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, ~0ul, 0);
    report("six arguments", page > 0 && memset(reinterpret_cast<void*>(page), 1, 4096) &&
                                call(SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, ~0ul, 1) == -EINVAL);
    report("registers", registers_are_right());
    handled = 0;
    report("restart", interrupted_read(SA_RESTART) == 1 && handled == 1);
    report("interruption", interrupted_read(0) == -EINTR && handled == 2);
    report("sleep through a stop", sleep_survives_stop());
    report("fork", forks());
    report("single steps", steps_through());
}

// ---------------------------------------------------------------- ticks

volatile bool go_on = true;
void* compete(void*) {
    while (go_on) sched_yield();
    return nullptr;
}

// The third argument lies in memory of the processor for a few instructions. A thread of the same process, on the same
// processor, would overwrite it.
bool arguments_survive_ticks() {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(0, &set);
    sched_setaffinity(0, sizeof set, &set);
    pthread_t other;
    pthread_create(&other, nullptr, compete, nullptr);
    int fd = memfd_create("file", 0);
    bool good = fd >= 0;
    constexpr long kCalls = 100000;
    for (long i = 1; i <= kCalls && good; i++) good = call(SYS_lseek, static_cast<uint64_t>(fd), 1, SEEK_CUR) == i;
    go_on = false;
    pthread_join(other, nullptr);
    return good;
}

}  // namespace

int main(int, char** arguments) {
    const char* what = arguments[1] ? arguments[1] : "";
    setvbuf(stdout, nullptr, _IONBF, 0);
    auto direct = reinterpret_cast<const char*>(getauxval(kAtIsoUnikCall));
    const char* symbol = vdso_symbol("__isounik_call");
    if (pipe(ends) != 0) return 1;
    if (strcmp(what, "ticks") == 0) {
        gate = direct;
        say("arguments through ticks", arguments_survive_ticks());
        return 0;
    }
    if (strcmp(what, "confine") == 0) {
        say("isolated", ring0());
        void* page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        say("confined", page != MAP_FAILED && !ring0());
    } else {
        say("the gate's address is there", (direct != nullptr) == ring0());
    }
    if (direct) {
        gate = direct;
        check_all("gate:");
    }
    gate = symbol;
    say("__isounik_call is there", symbol != nullptr);
    check_all("vDSO:");
    timespec time{};
    say("vDSO falls back", clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0 && clock_getres(CLOCK_REALTIME, &time) == 0 &&
                               clock_gettime(77, &time) == -1 && errno == EINVAL);
    return 0;
}
