// Instructions that inspection replaces in isolated programs: what they do must be what ring 3 does on Linux. Those of
// ring 0 raise their signals; ordinary ones that contain a forbidden byte sequence (0f 30 is wrmsr, 0f 32 rdmsr,
// 0f 22 mov to CR) work as if nothing had happened.
#include <initializer_list>

#include <setjmp.h>
#include <ucontext.h>

#include "../framework/case.h"

namespace {

sigjmp_buf back;
volatile int seen_signal, seen_code;
volatile uintptr_t seen_address, seen_rip;

void on_signal(int, siginfo_t* info, void* context) {
    seen_signal = info->si_signo;
    seen_code = info->si_code;
    seen_address = reinterpret_cast<uintptr_t>(info->si_addr);
    seen_rip = static_cast<uintptr_t>(static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP]);
    siglongjmp(back, 1);
}

void catch_all() {
    struct sigaction action = {};
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO;
    for (int signal : {SIGSEGV, SIGILL, SIGBUS, SIGTRAP}) MUST(sigaction(signal, &action, nullptr));
}

const char* code_name(int code) {
    switch (code) {
        case SI_KERNEL: return "SI_KERNEL";
        case 1: return "1";
        case 2: return "2";
        default: return "?";
    }
}

// `none` lets programs do all that ring 0 can: such a machine would not outlive these cases.
bool without_isolation() {
    char line[256];
    bool found = false;
    FILE* file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file)) found |= strncmp(line, "Isolation:\tnone", 15) == 0;
    if (file) fclose(file);
    if (found) print("not tried without isolation\n");
    return found;
}

// The function's first instruction is the one to try.
void attempt(const char* name, void (*function)()) {
    if (sigsetjmp(back, 1) == 0) {
        function();
        print("%s: returned\n", name);
        return;
    }
    uintptr_t start = reinterpret_cast<uintptr_t>(function);
    const char* address = seen_address == 0 ? "0" : seen_address == start ? "the instruction" : "other";
    print("%s: %s, code %s, address %s, rip %s\n", name, signal_name(seen_signal), code_name(seen_code), address,
          seen_rip == start ? "the instruction" : "elsewhere");
}

// With unwind information, which proves to the inspection that this is code: the program has no symbols.
#define FUNCTION(name, ...) \
    extern "C" void name(); \
    asm(".text\n.type " #name ", @function\n" #name ":\n.cfi_startproc\n" __VA_ARGS__ \
        "\nret\n.cfi_endproc\n.size " #name ", . - " #name "\n")

FUNCTION(site_hlt, "hlt");
FUNCTION(site_cli, "cli");
FUNCTION(site_sti, "sti");
FUNCTION(site_in, "inb $0x80, %al");
FUNCTION(site_in_dx, "inl %dx, %eax");
FUNCTION(site_out, "outb %al, $0x80");
FUNCTION(site_outs, "outsb");
FUNCTION(site_ins, "insl");
FUNCTION(site_rdmsr, "rdmsr");
FUNCTION(site_wrmsr, "wrmsr");
FUNCTION(site_read_cr0, "mov %cr0, %rax");
FUNCTION(site_write_cr3, "mov %rax, %cr3");
FUNCTION(site_read_dr7, "mov %dr7, %rax");
FUNCTION(site_lgdt, "lgdt (%rsp)");
FUNCTION(site_lidt, "lidt (%rsp)");
FUNCTION(site_lldt, "lldt %ax");
FUNCTION(site_ltr, "ltr %ax");
FUNCTION(site_lmsw, "lmsw %ax");
FUNCTION(site_clts, "clts");
FUNCTION(site_invlpg, "invlpg (%rsp)");
FUNCTION(site_wbinvd, "wbinvd");
FUNCTION(site_invd, "invd");
FUNCTION(site_swapgs, "swapgs");
FUNCTION(site_xsetbv, "xor %ecx, %ecx\nxor %edx, %edx\nmov $7, %eax\nxsetbv");
FUNCTION(site_sysret, "sysretq");
FUNCTION(site_int_timer, "int $0x20");
FUNCTION(site_int_page_fault, "int $14");
FUNCTION(site_int3, "int3");
FUNCTION(site_ud2, "ud2");

// Ordinary instructions with forbidden bytes inside. Each takes rdi and rsi and returns rax.
#define ORDINARY(name, ...)                             \
    extern "C" uint64_t name(uint64_t a, uint64_t b);   \
    asm(".text\n.type " #name ", @function\n" #name ":\n.cfi_startproc\n" __VA_ARGS__ \
        "\nret\n.cfi_endproc\n.size " #name ", . - " #name "\n")

ORDINARY(ordinary_constant, "movl $0x3200300f, %eax");
ORDINARY(ordinary_wide_constant, "movabs $0x1122300f44550f32, %rax");
ORDINARY(ordinary_add, "mov %rdi, %rax\nadd $0x0000300f, %rax");
ORDINARY(ordinary_compare, "xor %eax, %eax\ncmp $0x0000300f, %edi\nsete %al");
ORDINARY(ordinary_load, "mov 0x300f(%rdi), %rax");
ORDINARY(ordinary_load_indexed, "mov 0x220f(%rdi,%rsi,8), %rax");
ORDINARY(ordinary_store, "mov %rsi, 0x300f(%rdi)\nmov 0x3008+7(%rdi), %rax");
ORDINARY(ordinary_store_constant, "movl $0x0000300f, (%rdi)\nmov (%rdi), %eax");
ORDINARY(ordinary_lea, "lea 0x300f(%rdi,%rsi), %rax");
ORDINARY(ordinary_test, "xor %eax, %eax\ntest $0x0000300f, %edi\nsetnz %al");
ORDINARY(ordinary_sse, "movups 0x300f(%rdi), %xmm0\nmovq %xmm0, %rax");
ORDINARY(ordinary_locked, "mov %rsi, %rax\nlock xadd %rax, 0x300f(%rdi)");
ORDINARY(ordinary_push, "push $0x0000300f\npop %rax");
// Two instructions that make one together: the first ends with 0f, the second begins with 30 (xor).
ORDINARY(ordinary_pair, "mov $0x0f000001, %eax\nxor %dh, %bh\nxor %dh, %bh");
// Branches whose distance is 0x300f bytes.
ORDINARY(ordinary_jump, "mov $1, %eax\njmp 1f\n.fill 0x300f - 0, 1, 0xcc\n1: nop\nadd $1, %eax");
ORDINARY(ordinary_branch, "xor %eax, %eax\ntest %rdi, %rdi\njnz 1f\nret\n.fill 0x300f - 1, 1, 0xcc\n1: mov $5, %eax");
ORDINARY(ordinary_call,
         "mov $3, %eax\ncall 1f\nadd $1, %eax\nret\n.fill 0x300f - 4, 1, 0xcc\n1: add $10, %eax\nret");

}  // namespace

CASE(privileged_instructions) {
    if (without_isolation()) return;
    catch_all();
#define TRY_SITE(name) attempt(#name, site_##name)
    TRY_SITE(hlt); TRY_SITE(cli); TRY_SITE(sti); TRY_SITE(in); TRY_SITE(in_dx); TRY_SITE(out); TRY_SITE(outs);
    TRY_SITE(ins); TRY_SITE(rdmsr); TRY_SITE(wrmsr); TRY_SITE(read_cr0); TRY_SITE(write_cr3); TRY_SITE(read_dr7);
    TRY_SITE(lgdt); TRY_SITE(lidt); TRY_SITE(lldt); TRY_SITE(ltr); TRY_SITE(lmsw); TRY_SITE(clts);
    TRY_SITE(invlpg); TRY_SITE(wbinvd); TRY_SITE(invd); TRY_SITE(swapgs); TRY_SITE(sysret);
}

CASE(software_interrupts) {
    catch_all();
    TRY_SITE(int_timer); TRY_SITE(int_page_fault); TRY_SITE(int3); TRY_SITE(ud2);
}

CASE(ordinary_instructions) {
    static uint64_t memory[4096];
    uint64_t at = reinterpret_cast<uint64_t>(memory);
    auto word = [&](size_t offset) { return *reinterpret_cast<uint64_t*>(reinterpret_cast<char*>(memory) + offset); };
    for (size_t i = 0; i < 4096; i++) memory[i] = i * 0x0101010101010101u;
    print("constant %lx, wide %lx\n", ordinary_constant(0, 0), ordinary_wide_constant(0, 0));
    print("add %lx, compare %lu %lu\n", ordinary_add(0x1000, 0), ordinary_compare(0x300f, 0), ordinary_compare(1, 0));
    CHECK(ordinary_load(at, 0) == word(0x300f));
    CHECK(ordinary_load_indexed(at, 16) == word(0x220f + 128));
    CHECK(ordinary_store(at, 0x1234567890) == 0x1234567890);
    print("store of a constant %lx, lea %lx\n", ordinary_store_constant(at, 0), ordinary_lea(0x10, 0x100));
    print("test %lu %lu, push %lx\n", ordinary_test(1, 0), ordinary_test(0x10000, 0), ordinary_push(0, 0));
    CHECK(ordinary_sse(at, 0) == word(0x300f));
    CHECK(ordinary_locked(at, 5) == 0x1234567890);
    CHECK(word(0x300f) == 0x1234567895);
    print("pair %lx\n", ordinary_pair(0, 0));
    print("jump %lu, branch %lu %lu, call %lu\n", ordinary_jump(0, 0), ordinary_branch(0, 0), ordinary_branch(1, 0),
          ordinary_call(0, 0));
}

// A fault in such an instruction shows the program's own address, and its registers untouched.
CASE(faults_of_ordinary_instructions) {
    catch_all();
    if (sigsetjmp(back, 1) == 0) {
        (void)ordinary_load(0x10000, 0);
        print("returned\n");
    } else {
        print("%s, code %s, address %lx\n", signal_name(seen_signal), code_name(seen_code), seen_address);
        CHECK(seen_rip == reinterpret_cast<uintptr_t>(ordinary_load));
    }
}

namespace {
volatile unsigned steps;
volatile bool away;
void on_step(int, siginfo_t*, void* context) {
    auto rip = static_cast<uintptr_t>(static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP]);
    steps = steps + 1;
    // Whatever executes the instruction: the program only ever sees its own addresses.
    if (rip > 0x7fffffffffff) away = true;
}
}  // namespace

CASE(single_stepping) {
    struct sigaction action = {};
    action.sa_sigaction = on_step;
    action.sa_flags = SA_SIGINFO;
    MUST(sigaction(SIGTRAP, &action, nullptr));
    static uint64_t memory[4096];
    memory[0x300f / 8 + 1] = 77;
    uint64_t result;
    asm volatile(
        "pushfq\n orl $0x100, (%%rsp)\n popfq\n"
        "mov 0x300f(%[base]), %[result]\n"
        "mov $0x0000300f, %%ecx\n"
        "pushfq\n andl $~0x100, (%%rsp)\n popfq\n"
        : [result] "=&r"(result) : [base] "r"(reinterpret_cast<char*>(memory) + 1) : "rcx", "memory", "cc");
    print("result %lu, steps %u\n", result, steps);
    CHECK(!away);
}

// POPF in ring 3 changes neither IF nor IOPL, and says nothing about it.
CASE(popf) {
    uint64_t flags;
    asm volatile("pushq $0x3ed5\n popfq\n pushfq\n pop %0\n cld\n" : "=r"(flags) : : "cc", "memory");
    print("flags %lx\n", flags & ~uint64_t{0x100});
    asm volatile("pushq $0x0002\n popfq\n pushfq\n pop %0\n" : "=r"(flags) : : "cc", "memory");
    print("flags %lx\n", flags);
    asm volatile("pushw $0x08d7\n popfw\n pushfq\n pop %0\n" : "=r"(flags) : : "cc", "memory");
    print("flags %lx\n", flags);
}

namespace {
volatile unsigned ticks;
void on_tick(int) { ticks = ticks + 1; }
}  // namespace

// Signals come in the middle of such instructions without harm.
CASE(interrupted_ordinary_instructions) {
    struct sigaction action = {};
    action.sa_handler = on_tick;
    action.sa_flags = SA_RESTART;
    MUST(sigaction(SIGALRM, &action, nullptr));
    itimerspec often{{0, 200'000}, {0, 200'000}};
    timer_t timer;
    MUST(timer_create(CLOCK_MONOTONIC, nullptr, &timer));
    MUST(timer_settime(timer, 0, &often, nullptr));
    static uint64_t memory[4096];
    uint64_t at = reinterpret_cast<uint64_t>(memory), wrong = 0, rounds = 0;
    while (ticks < 20) {
        for (uint64_t i = 0; i < 50; i++, rounds++) {
            if (ordinary_store(at, rounds) != rounds) wrong++;
            if (ordinary_lea(i, rounds) != i + rounds + 0x300f) wrong++;
            if (ordinary_call(0, 0) != 14) wrong++;
        }
    }
    MUST(timer_delete(timer));
    print("wrong %lu\n", wrong);
}
