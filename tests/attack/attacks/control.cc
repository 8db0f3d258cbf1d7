// Attacks by control flow: into the kernel's functions, and by the frame that sigreturn restores. What is aimed at the
// stubs and at the delivery of interrupts is in gate_attacks.cc.
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attack.h"

namespace {

using namespace attack;

// Runs `body` in a process of its own; true if it ended by a signal.
template <typename Body>
bool dies(Body body) {
    pid_t pid = fork();
    if (pid == 0) {
        itimerval limit{{0, 0}, {0, 50'000}};
        setitimer(ITIMER_REAL, &limit, nullptr);
        body();
        _exit(0);
    }
    int status;
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status);
}

}  // namespace

// Each function of the kernel, as if it were the program's own.
ATTACK(call_kernel_functions) {
    static unsigned tried;
    for_each_kernel_function([](uint64_t address, const char*) {
        tried++;
        dies([&] {
            reinterpret_cast<void (*)(uint64_t, uint64_t, uint64_t, uint64_t)>(address)(0, kDirectMap, 4096, 0);
        });
    });
    if (tried > 1000) refused("called them all");
}

namespace {

// sigreturn with `change` made to the frame, as a handler can.
void (*change_frame)(ucontext_t& context);
void handler(int, siginfo_t*, void* context) { change_frame(*static_cast<ucontext_t*>(context)); }
void return_changed(void (*change)(ucontext_t& context)) {
    change_frame = change;
    struct sigaction action{};
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGUSR1, &action, nullptr);
    raise(SIGUSR1);
}
uint64_t flags() {
    uint64_t value;
    asm volatile("pushf\n pop %0" : "=r"(value));
    return value;
}

}  // namespace

ATTACK(selectors_by_sigreturn) {
    unsigned before = ring();
    return_changed([](ucontext_t& context) {
        uint64_t& selectors = reinterpret_cast<uint64_t&>(context.uc_mcontext.gregs[REG_CSGSFS]);
        selectors = (selectors & 0x0000ffffffff0000) | 0x10 | uint64_t{0x18} << 48;
    });
    if (ring() == 0 && before == 3) breach("ring 0 by the selectors of a signal frame");
    refused("the frame's selectors are ignored");
}

ATTACK(flags_by_sigreturn) {
    // IOPL = 3, NT, IF = 0.
    return_changed([](ucontext_t& context) {
        context.uc_mcontext.gregs[REG_EFL] = (context.uc_mcontext.gregs[REG_EFL] | 0x7000) & ~0x200;
    });
    uint64_t now = flags();
    if ((now & 0x7000) || !(now & 0x200)) breach("system flags by a signal frame");
    refused("system flags of the frame are ignored");
}

ATTACK(no_canonical_return_by_sigreturn) {
    int signal = attempt([] {
        return_changed([](ucontext_t& context) { context.uc_mcontext.gregs[REG_RIP] = 0x800000000000; });
    });
    if (signal == 0) breach("execution went on");
    else refused("it got a signal");
}

// RCX and R11 equal RIP and RFLAGS: the kernel's shortest way out.
ATTACK(no_canonical_return_by_syscall) {
    int signal = attempt([] {
        return_changed([](ucontext_t& context) {
            auto& registers = context.uc_mcontext.gregs;
            registers[REG_RIP] = registers[REG_RCX] = static_cast<greg_t>(0xffff800000000000);
            registers[REG_R11] = registers[REG_EFL];
        });
    });
    if (signal == 0) breach("execution went on");
    else refused("it got a signal");
}
