// Attacks by an isolated program on the entry and exit stubs and on what interrupt delivery needs. `gate_attacks NAME`
// prints a line for each attack: "NAME: repelled ..." or "NAME: SUCCEEDED". tests/attack/run has the expected lines.
//
// Inspection does not stop them: they are what hijacked control flow could do.
#include <sched.h>
#include <setjmp.h>
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
#include <span>

namespace {

// arch/x86_64/asm_layout.h.
constexpr uint64_t kExposed = 0xffffff0000000000, kProcessorPage = 0xfffffefffffff000, kPage = 4096;
constexpr uint64_t kStubs = kExposed + 0x1000, kScratch = kExposed + 0x12000;
constexpr uint64_t kIstPages[] = {kExposed + 0x14000, kExposed + 0x16000, kExposed + 0x18000, kExposed + 0x1a000,
                                  kExposed + 0x1c000};
constexpr uint64_t kFrameSize = 168;

sigjmp_buf back;
volatile int caught;
alignas(16) char signal_stack[1 << 16];

void on_signal(int signal) {
    caught = signal;
    siglongjmp(back, 1);
}

void catch_all() {
    stack_t stack{};
    stack.ss_sp = signal_stack;
    stack.ss_size = sizeof signal_stack;
    sigaltstack(&stack, nullptr);
    struct sigaction action {};
    action.sa_handler = on_signal;
    action.sa_flags = SA_ONSTACK | SA_NODEFER;
    for (int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGALRM}) sigaction(signal, &action, nullptr);
}

template <typename Access>
bool works(Access access) {
    if (sigsetjmp(back, 0) != 0) return false;
    access();
    return true;
}

bool kernel_is_open() {
    return works([] { (void)*reinterpret_cast<volatile uint64_t*>(kProcessorPage); });
}

// ---------------------------------------------------------------- jumps into the stubs

extern "C" {
alignas(4096) uint64_t own_stack[1024];
uint64_t jump_target, jump_stack, jump_number;
void jump_now();
void landed();
volatile bool did_land;
void on_landed() {
    did_land = true;
    siglongjmp(back, 2);
}
}

// Everything that the stubs could trust from before their WRPKRU: EAX = ECX = EDX = 0, EBP = 0 ("the kernel was
// interrupted"), a vector that needs no answer, return addresses wherever one is looked for.
asm(R"(
.globl jump_now, landed
jump_now:
    leaq landed(%rip), %r11
    movq %r11, %r10
    movq %r11, %r12
    movl $0xff, %ebx
    movl $0xff, %edi
    leaq own_stack+4096(%rip), %rsi
    xorl %ebp, %ebp
    movq jump_number(%rip), %rax   # 0 but for the call gate
    xorl %ecx, %ecx
    xorl %edx, %edx
    movq jump_stack(%rip), %rsp
    jmp *jump_target(%rip)
landed:
    leaq own_stack+8192(%rip), %rsp
    andq $-16, %rsp
    cld
    call on_landed
    ud2
)");

struct Frame {
    uint64_t registers[16], rip, cs, rflags, rsp, ss;
};
static_assert(sizeof(Frame) == kFrameSize);

// A frame as if the kernel had been interrupted; its copy would go below the kernel address in `rsp`.
void forge(Frame* frame) {
    *frame = {{}, reinterpret_cast<uint64_t>(landed), 0x10, 0x2, kProcessorPage + 0xe00, 0x18};
    for (uint64_t& value : frame->registers) value = reinterpret_cast<uint64_t>(landed);
    // The stubs' words: the registers of a harmless call, and where exits would go.
    auto words = reinterpret_cast<uint64_t*>(kScratch);
    auto stack = reinterpret_cast<uint64_t>(own_stack + 512), there = reinterpret_cast<uint64_t>(landed);
    uint64_t forged[] = {SYS_getpid, there, there, 0x202, stack, 0, 0, 0, there, 0x10, 0x202, stack, 0x18};
    memcpy(words, forged, sizeof forged);
}

// Lands at every byte of the stubs that is code, with the stack pointer where each IST stack has its frame, and on
// an own stack.
bool near_wrpkru(uint64_t at) {
    for (uint64_t start = at - 12; start <= at; start++) {
        auto bytes = reinterpret_cast<const unsigned char*>(start < kStubs ? kStubs : start);
        if (bytes[0] == 0x0f && bytes[1] == 0x01 && bytes[2] == 0xef) return true;
    }
    return false;
}

// Some jumps are system calls that wait: SIGALRM ends them.
void end_waits_after(long microseconds) {
    itimerval timer{};
    timer.it_value.tv_usec = microseconds;
    setitimer(ITIMER_REAL, &timer, nullptr);
}

bool sweep(bool everywhere, unsigned& repelled) {
    for (uint64_t* word = own_stack; word != own_stack + 1024; word++) *word = reinterpret_cast<uint64_t>(landed);
    uint64_t end = kStubs;
    while (end < kExposed + 0x10000 && works([&] { (void)*reinterpret_cast<volatile char*>(end); })) end += kPage;
    uint64_t stacks[6] = {reinterpret_cast<uint64_t>(own_stack + 512)};
    for (unsigned i = 0; i < 5; i++) stacks[i + 1] = kIstPages[i] + kPage - kFrameSize;
    unsigned count = everywhere ? 6 : 3;
    // The stubs proper come first, then 256 vectors and the entries with error codes.
    uint64_t code_end = end < kStubs + 0xd00 ? end : kStubs + 0xd00;
    for (uint64_t stack : std::span(stacks, count)) {
        for (uint64_t at = kStubs; at < code_end; at++) {
            // Quick: at the bytes behind an opening or closing WRPKRU and at it.
            if (!everywhere && !near_wrpkru(at)) continue;
            jump_target = at;
            jump_stack = stack;
            forge(reinterpret_cast<Frame*>(stack));
            did_land = false;
            if (everywhere) end_waits_after(100'000);
            if (sigsetjmp(back, 0) == 0) jump_now();
            if (everywhere) end_waits_after(0);
            if (did_land && kernel_is_open()) {
                printf("jumps into the stubs: SUCCEEDED at 0x%llx\n", static_cast<unsigned long long>(at - kExposed));
                return true;
            }
            repelled++;
        }
    }
    return false;
}

void attack_stubs() {
    unsigned repelled = 0;
    if (!sweep(false, repelled)) printf("jumps into the stubs: repelled\n");
}
void attack_all_stubs() {
    unsigned repelled = 0;
    if (!sweep(true, repelled)) printf("jumps to every byte of the stubs: repelled\n");
}

// ---------------------------------------------------------------- the kernel's powerful instructions

// Reads an MSR by way of the kernel's own function on the armed page.
void attack_armed_page() {
    constexpr uint64_t kArmed = 0xfffffeffffffd000, kReadMsr = kArmed + 4;
    constexpr uint32_t kLstar = 0xc0000082;
    sched_yield();
    volatile uint64_t value = 0;
    works([&] { value = reinterpret_cast<uint64_t (*)(uint32_t)>(kReadMsr)(kLstar); });
    printf("jump to the armed page: %s\n", value == 0 ? "repelled" : "SUCCEEDED");
}

// ---------------------------------------------------------------- int n

// mov $0x00c3NNcd, %eax; one byte further it reads int $NN; ret.
asm(R"(
.balign 16
.globl int_table
int_table:
.set n, 0
.rept 256
    .balign 16
    .byte 0xb8, 0xcd, n, 0xc3, 0
    .set n, n + 1
.endr
)");
extern "C" char int_table[];

// Signals by vector: what ring 3 gets.
void attack_int() {
    unsigned wrong = 0;
    for (unsigned n = 0; n < 256; n++) {
        caught = 0;
        works([&] { reinterpret_cast<void (*)()>(int_table + 16 * n + 1)(); });
        int expected = n == 0 || n == 16 || n == 19 ? SIGFPE
                       : n == 1 || n == 3           ? SIGTRAP
                       : n == 6                     ? SIGILL
                                                    : SIGSEGV;
        if (caught == expected) continue;
        printf("int %u: signal %d\n", n, caught);
        wrong++;
    }
    printf("int n: %s\n", wrong == 0 ? "repelled" : "SUCCEEDED");
}

// ---------------------------------------------------------------- flags

volatile uint64_t steps;
void on_step(int, siginfo_t*, void*) { steps = steps + 1; }

// Single-stepping through system calls, and MOV SS right before one: the kernel never sees a step, the program
// sees one for each instruction of its own.
void attack_trap_flag() {
    struct sigaction action {}, old;
    action.sa_sigaction = on_step;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGTRAP, &action, &old);
    uint64_t good = 0;
    for (int i = 0; i < 50; i++) {
        uint64_t result;
        asm volatile(
            "pushfq\n orl $0x100, (%%rsp)\n popfq\n"
            "mov %%ss, %%ebx\n mov %%ebx, %%ss\n"
            "movl $39, %%eax\n syscall\n mov %%rax, %0\n"
            "pushfq\n andl $~0x100, (%%rsp)\n popfq\n"
            : "=r"(result) : : "rax", "rbx", "rcx", "r11", "memory", "cc");
        good += result == static_cast<uint64_t>(getpid());
    }
    sigaction(SIGTRAP, &old, nullptr);
    printf("single steps: %s\n", good == 50 && steps >= 50 * 6 ? "repelled" : "SUCCEEDED");
}

// DF, NT and AC set when the kernel is entered: it works in the right direction and finds its way back.
void attack_flags() {
    char data[512], copy[512];
    for (unsigned i = 0; i < sizeof data; i++) data[i] = static_cast<char>(i * 7);
    int ends[2];
    bool good = pipe(ends) == 0;
    for (uint64_t flag : {0x400ul, 0x4000ul, 0x40000ul}) {
        memset(copy, 0, sizeof copy);
        for (long number : {long{SYS_write}, long{SYS_read}}) {
            int64_t result;
            const void* buffer = number == SYS_write ? data : copy;
            int end = number == SYS_write ? ends[1] : ends[0];
            asm volatile("pushfq\n orq %[flag], (%%rsp)\n popfq\n syscall\n pushfq\n andq $~0x44400, (%%rsp)\n popfq\n"
                         : "=a"(result)
                         : "0"(number), "D"(end), "S"(buffer), "d"(sizeof data), [flag] "r"(flag)
                         : "rcx", "r11", "memory", "cc");
            good = good && result == sizeof data;
        }
        good = good && memcmp(data, copy, sizeof data) == 0;
    }
    printf("flags at entry: %s\n", good ? "repelled" : "SUCCEEDED");
}

// ---------------------------------------------------------------- the call gate

constexpr unsigned long kAtIsoUnikCall = 0x49736f55;  // process/argument_stack.h

void pin(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
}

// With stack pointers at which the kernel must neither write nor return, calls with and without work on the way out.
void attack_call_gate() {
    jump_target = getauxval(kAtIsoUnikCall);
    bool good = jump_target != 0;
    signal(SIGUSR1, [](int) {});
    for (uint64_t stack : {kProcessorPage + 0x800, uint64_t{0xffff800000001000}, uint64_t{0xffffffff80200000},
                           kScratch, kIstPages[0] + kPage - 64, uint64_t{1} << 63, uint64_t{0}, uint64_t{4096}}) {
        for (long number : {long{SYS_getpid}, long{SYS_sched_yield}, 511L, 1L << 40, long{SYS_fork}}) {
            jump_stack = stack;
            jump_number = static_cast<uint64_t>(number);
            pid_t self = getpid();
            did_land = false;
            if (stack == kScratch || stack == kIstPages[0] + kPage - 64) {
                *reinterpret_cast<volatile uint64_t*>(stack) = reinterpret_cast<uint64_t>(landed);
            }
            if (number == SYS_sched_yield) raise(SIGUSR1);
            if (sigsetjmp(back, 0) == 0) jump_now();
            if (getpid() != self) _exit(0);  // the fork's child
            good = good && !kernel_is_open();
        }
    }
    jump_number = 0;
    printf("call gate with foreign stacks: %s\n", good ? "repelled" : "SUCCEEDED");
}

// NT in the kernel: a switch of threads would carry it to a process that the kernel returns to by IRETQ, which faults.
void attack_nested_task() {
    pin(0);
    pid_t victim = fork();
    if (victim == 0) {
        pin(0);
        for (;;) {}
    }
    auto gate = getauxval(kAtIsoUnikCall);
    for (int i = 0; i < 20; i++) {
        long number = SYS_sched_yield;
        asm volatile("pushfq\n orl $0x4000, (%%rsp)\n popfq\n call *%[gate]\n pushfq\n andl $~0x4000, (%%rsp)\n popfq\n"
                     : "+a"(number)
                     : [gate] "m"(gate)
                     : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
    }
    kill(victim, SIGKILL);
    int status = 0;
    waitpid(victim, &status, 0);
    printf("nested task flag: %s\n", WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? "repelled" : "SUCCEEDED");
}

// ---------------------------------------------------------------- registers that another process left

constexpr uint64_t kSecret = 0x5ec12e7a11ce0b0b;

[[noreturn]] void hold_secret() {
    pin(0);
    asm volatile(
        "mov %0, %%rbx\n mov %0, %%rcx\n mov %0, %%rdx\n mov %0, %%rsi\n mov %0, %%rdi\n mov %0, %%r8\n"
        "mov %0, %%r9\n mov %0, %%r10\n mov %0, %%r11\n mov %0, %%r12\n mov %0, %%r13\n mov %0, %%r14\n"
        "mov %0, %%r15\n"
        "1: pause\n jmp 1b\n" : : "a"(kSecret));
    __builtin_unreachable();
}

void attack_leftovers() {
    pin(0);
    pid_t victim = fork();
    if (victim == 0) hold_secret();
    unsigned found = 0;
    for (int round = 0; round < 20; round++) {
        sched_yield();  // the victim runs until a tick takes the processor from it
        for (uint64_t page : {kScratch, kIstPages[0], kIstPages[1], kIstPages[2], kIstPages[3], kIstPages[4]}) {
            for (uint64_t at = page; at < page + kPage; at += 8) {
                found += *reinterpret_cast<volatile uint64_t*>(at) == kSecret;
            }
        }
    }
    kill(victim, SIGKILL);
    waitpid(victim, nullptr, 0);
    printf("registers left in the exposed slot: %s\n", found == 0 ? "repelled" : "SUCCEEDED");
}

// ---------------------------------------------------------------- another thread on the interrupt stacks

int scribble(void*) {
    pin(1);
    for (;;) {
        for (uint64_t at = kIstPages[0]; at < kIstPages[0] + kPage; at += 8) {
            *reinterpret_cast<volatile uint64_t*>(at) = 0;
        }
    }
}

void attack_interrupt_stack() {
    pin(0);
    alignas(16) static char stack[1 << 14];
    clone(scribble, stack + sizeof stack, CLONE_VM | CLONE_THREAD | CLONE_SIGHAND | CLONE_FS | CLONE_FILES, nullptr);
    unsigned damaged = 0;
    auto page = static_cast<volatile uint64_t*>(
        mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    for (int i = 0; i < 3000; i++) {
        madvise(const_cast<uint64_t*>(page), kPage, MADV_DONTNEED);
        uint64_t out;
        asm volatile("mov %[value], %%r12\n mov %%r12, (%[page])\n mov %%r12, %[out]\n"
                     : [out] "=r"(out) : [value] "r"(kSecret), [page] "r"(page) : "r12", "memory");
        damaged += out != kSecret;
    }
    printf("a thread that writes to interrupt stacks: %s\n", damaged == 0 ? "repelled" : "SUCCEEDED");
    fflush(stdout);
    _exit(0);
}

}  // namespace

int main(int, char** arguments) {
    setvbuf(stdout, nullptr, _IONBF, 0);
    catch_all();
    const char* name = arguments[1] ? arguments[1] : "";
    struct { const char* name; void (*attack)(); } attacks[] = {
        {"stubs", attack_stubs}, {"all-stubs", attack_all_stubs},
        {"armed-page", attack_armed_page}, {"int", attack_int}, {"trap-flag", attack_trap_flag}, {"flags", attack_flags},
        {"call-gate", attack_call_gate}, {"nested-task", attack_nested_task},
        {"leftovers", attack_leftovers}, {"interrupt-stack", attack_interrupt_stack},
    };
    bool kernel_was_open = kernel_is_open();
    for (const auto& one : attacks) {
        if (*name ? strcmp(one.name, name) != 0 : one.attack == attack_all_stubs) continue;
        pid_t child = fork();
        if (child == 0) {
            one.attack();
            _exit(0);
        }
        int status;
        waitpid(child, &status, 0);
        if (status != 0) printf("%s: ended with status 0x%x\n", one.name, status);
    }
    printf("kernel: %s\n", kernel_was_open || kernel_is_open() ? "OPEN" : "closed");
    return 0;
}
