// Waiting for signals, alternate stacks, restarted and interrupted calls, timers that signal.
#include <sys/auxv.h>
#include <sys/time.h>
#include <ucontext.h>

#include "case.h"

static volatile sig_atomic_t seen_count, seen_signal;
static void note(int signal) {
    seen_signal = signal;
    seen_count = seen_count + 1;
}

static void handle(int signal, int flags) {
    struct sigaction action = {};
    action.sa_handler = note;
    action.sa_flags = flags;
    MUST(sigaction(signal, &action, nullptr));
}

static sigset_t set_of(int first, int second = 0) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, first);
    if (second) sigaddset(&set, second);
    return set;
}

// A child that sends a signal to the case after a while.
static pid_t send_later(int signal, int ms = 50) {
    pid_t parent = getpid();
    return spawn([=] {
        sleep_ms(ms);
        return kill(parent, signal);
    });
}

CASE(pause_is_interrupted) {
    COVERS_ERROR(pause);
    COVERS(pause);
    handle(SIGUSR1, SA_RESTART);
    pid_t pid = send_later(SIGUSR1);
    SHOW(pause());
    wait_for(pid);
}

CASE(sigsuspend_swaps_mask) {
    COVERS(rt_sigsuspend);
    COVERS_ERROR(rt_sigsuspend);
    handle(SIGUSR1, 0);
    sigset_t blocked = set_of(SIGUSR1), none, now;
    sigemptyset(&none);
    sigprocmask(SIG_BLOCK, &blocked, nullptr);
    kill(getpid(), SIGUSR1);
    print("before: %d\n", (int)seen_count);
    SHOW(sigsuspend(&none));
    print("after: %d\n", (int)seen_count);
    sigprocmask(SIG_SETMASK, nullptr, &now);
    CHECK(sigismember(&now, SIGUSR1));
    SHOW(syscall(SYS_rt_sigsuspend, bad_address(), 8));
    SHOW(syscall(SYS_rt_sigsuspend, &none, 4));
}

CASE(sigtimedwait_takes_signals) {
    COVERS(rt_sigtimedwait);
    COVERS_ERROR(rt_sigtimedwait);
    sigset_t set = set_of(SIGUSR1, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    timespec none = {0, 0}, soon = {0, 30000000}, wrong = {0, 2000000000};
    siginfo_t info;
    SHOW(sigtimedwait(&set, &info, &none));
    SHOW(sigtimedwait(&set, &info, &soon));
    SHOW(sigtimedwait(&set, &info, &wrong));
    SHOW(syscall(SYS_rt_sigtimedwait, bad_address(), 0, 0, 8));
    kill(getpid(), SIGUSR2);
    CHECK(sigtimedwait(&set, &info, &none) == SIGUSR2);
    CHECK(info.si_pid == getpid());
    pid_t pid = send_later(SIGUSR1);
    CHECK(sigwaitinfo(&set, &info) == SIGUSR1);
    CHECK(info.si_pid == pid);
    wait_for(pid);
    handle(SIGHUP, 0);
    pid = send_later(SIGHUP);
    SHOW(sigwaitinfo(&set, &info));
    wait_for(pid);
}

CASE(sigaltstack_is_used) {
    COVERS(sigaltstack);
    COVERS_ERROR(sigaltstack);
    static char stack[65536];
    static bool on_stack, flag_inside;
    stack_t wanted = {}, old = {};
    wanted.ss_sp = stack;
    wanted.ss_size = sizeof stack;
    SHOW(sigaltstack(&wanted, nullptr));
    struct sigaction action = {};
    action.sa_handler = [](int) {
        char here;
        on_stack = &here >= stack && &here < stack + sizeof stack;
        stack_t now;
        sigaltstack(nullptr, &now);
        flag_inside = now.ss_flags & SS_ONSTACK;
        stack_t other = {};
        other.ss_sp = stack;
        other.ss_size = sizeof stack;
        SHOW(sigaltstack(&other, nullptr));
    };
    action.sa_flags = SA_ONSTACK;
    sigaction(SIGUSR1, &action, nullptr);
    raise(SIGUSR1);
    CHECK(on_stack);
    CHECK(flag_inside);
    SHOW(sigaltstack(nullptr, &old));
    CHECK(old.ss_sp == stack);
    print("flags %d\n", old.ss_flags);
    wanted.ss_size = 100;
    SHOW(sigaltstack(&wanted, nullptr));
    wanted.ss_flags = 77;
    SHOW(sigaltstack(&wanted, nullptr));
    SHOW(sigaltstack((stack_t*)bad_address(), nullptr));
    wanted.ss_flags = SS_DISABLE;
    SHOW(sigaltstack(&wanted, nullptr));
    sigaltstack(nullptr, &old);
    CHECK(old.ss_flags == SS_DISABLE);
}

[[gnu::noinline]] static void overflow(volatile char* previous) {
    volatile char block[4096];
    block[0] = *previous;
    overflow(block);
    block[1] = 0;
}

CASE(stack_overflow_on_alternate_stack) {
    COVERS(sigaltstack);
    show_child("with handler", [] {
        static char stack[65536];
        stack_t wanted = {};
        wanted.ss_sp = stack;
        wanted.ss_size = sizeof stack;
        sigaltstack(&wanted, nullptr);
        struct sigaction action = {};
        action.sa_handler = [](int) {
            print("overflow seen\n");
            _exit(3);
        };
        action.sa_flags = SA_ONSTACK;
        sigaction(SIGSEGV, &action, nullptr);
        char start = 0;
        overflow(&start);
        return 0;
    });
    show_child("without", [] {
        char start = 0;
        overflow(&start);
        return 0;
    });
}

CASE(handler_changes_context) {
    struct sigaction action = {};
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = [](int, siginfo_t*, void* raw) {
        auto* context = (ucontext_t*)raw;
        context->uc_mcontext.gregs[REG_RIP] += 2;  // behind ud2
        context->uc_mcontext.gregs[REG_RBX] = 4711;
        sigaddset(&context->uc_sigmask, SIGUSR2);
    };
    sigaction(SIGILL, &action, nullptr);
    long value = 1;
    asm volatile("mov $5, %%rbx; ud2; mov %%rbx, %0" : "=r"(value)::"rbx", "memory");
    print("rbx %ld\n", value);
    sigset_t now;
    sigprocmask(SIG_SETMASK, nullptr, &now);
    CHECK(sigismember(&now, SIGUSR2));
}

CASE(handler_keeps_registers_and_fpu) {
    handle(SIGALRM, 0);
    struct sigaction action = {};
    action.sa_handler = [](int) {
        volatile double noise = 3.5;
        for (int i = 0; i < 10; i++) noise = noise * 1.5 + i;
        asm volatile("pcmpeqb %%xmm0, %%xmm0; pcmpeqb %%xmm7, %%xmm7; pcmpeqb %%xmm15, %%xmm15" ::
                         : "xmm0", "xmm7", "xmm15");
        seen_count = seen_count + 1;
    };
    sigaction(SIGALRM, &action, nullptr);
    itimerval every = {{0, 2000}, {0, 2000}};
    setitimer(ITIMER_REAL, &every, nullptr);
    bool right = true;
    while (seen_count < 20) {
        double sum = 0;
        for (int i = 0; i < 1000; i++) sum += i * 0.5;
        right &= sum == 249750.0;
    }
    CHECK(right);
}

CASE(handler_on_red_zone) {
    // The 128 bytes below RSP belong to the interrupted function.
    handle(SIGUSR1, 0);
    long result;
    asm volatile(
        "movq $1234, -128(%%rsp)\n"
        "movl %1, %%edi\n"
        "movl %2, %%esi\n"
        "movl $62, %%eax\n"
        "syscall\n"
        "movq -128(%%rsp), %0\n"
        : "=r"(result)
        : "r"(getpid()), "r"(SIGUSR1)
        : "rax", "rdi", "rsi", "rcx", "r11", "memory");
    print("kept %ld, handled %d\n", result, (int)seen_count);
}

CASE(nanosleep_interrupted_reports_rest) {
    COVERS(nanosleep);
    COVERS_ERROR(nanosleep);
    handle(SIGUSR1, SA_RESTART);
    pid_t pid = send_later(SIGUSR1);
    timespec wanted = {10, 0}, rest = {};
    SHOW(nanosleep(&wanted, &rest));
    CHECK(rest.tv_sec >= 5 && rest.tv_sec < 10);
    wait_for(pid);
    wanted = {0, 1000000000};
    SHOW(nanosleep(&wanted, nullptr));
    wanted = {-1, 0};
    SHOW(nanosleep(&wanted, nullptr));
    SHOW(syscall(SYS_nanosleep, bad_address(), 0));
}

CASE(alarm_rings) {
    COVERS(alarm);
    NO_ERROR_PATH(alarm);
    alarm(0);
    handle(SIGALRM, 0);
    SHOW(alarm(100));
    unsigned left = alarm(1);
    CHECK(left == 100 || left == 99);
    SHOW(pause());
    print("signal %s\n", signal_name(seen_signal));
    SHOW(alarm(0));
}

CASE(setitimer_getitimer) {
    COVERS(setitimer, getitimer);
    COVERS_ERROR(setitimer, getitimer);
    alarm(0);
    handle(SIGALRM, 0);
    itimerval every = {{0, 10000}, {0, 10000}}, now;
    SHOW(setitimer(ITIMER_REAL, &every, nullptr));
    while (seen_count < 3) pause();
    SHOW(getitimer(ITIMER_REAL, &now));
    CHECK(now.it_interval.tv_usec == 10000);
    itimerval off = {};
    SHOW(setitimer(ITIMER_REAL, &off, &now));
    SHOW(setitimer(77, &off, nullptr));
    SHOW(getitimer(77, &now));
    itimerval wrong = {{0, 0}, {0, 1000000}};
    SHOW(setitimer(ITIMER_REAL, &wrong, nullptr));
    SHOW(syscall(SYS_getitimer, ITIMER_REAL, bad_address()));
    SHOW(syscall(SYS_setitimer, ITIMER_REAL, bad_address(), 0));
}

CASE(virtual_timer_counts_work) {
    COVERS(setitimer);
    handle(SIGVTALRM, 0);
    itimerval once = {{0, 0}, {0, 20000}};
    SHOW(setitimer(ITIMER_VIRTUAL, &once, nullptr));
    while (!seen_count) {
    }
    print("%s\n", signal_name(seen_signal));
}

CASE(exec_resets_handlers_keeps_ignored) {
    COVERS(execve);
    show_child("after exec", [] {
        handle(SIGUSR1, 0);
        signal(SIGUSR2, SIG_IGN);
        sigset_t set = set_of(SIGHUP);
        sigprocmask(SIG_BLOCK, &set, nullptr);
        kill(getpid(), SIGHUP);
        execl(self_path(), self_path(), "--helper", "report_signals", nullptr);
        return 1;
    });
}

HELPER(report_signals) {
    struct sigaction action;
    sigaction(SIGUSR1, nullptr, &action);
    CHECK(action.sa_handler == SIG_DFL);
    sigaction(SIGUSR2, nullptr, &action);
    CHECK(action.sa_handler == SIG_IGN);
    sigset_t now;
    sigprocmask(SIG_SETMASK, nullptr, &now);
    CHECK(sigismember(&now, SIGHUP));
    sigpending(&now);
    CHECK(sigismember(&now, SIGHUP));
    return 0;
}

CASE(fork_clears_pending_keeps_mask) {
    sigset_t set = set_of(SIGUSR1), now;
    sigprocmask(SIG_BLOCK, &set, nullptr);
    kill(getpid(), SIGUSR1);
    show_child("child", [&] {
        sigpending(&now);
        CHECK(sigismember(&now, SIGUSR1));
        sigprocmask(SIG_SETMASK, nullptr, &now);
        CHECK(sigismember(&now, SIGUSR1));
        return 0;
    });
}

CASE(sigchld_carries_child) {
    static volatile sig_atomic_t code, status;
    static volatile pid_t sender;
    struct sigaction action = {};
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = [](int, siginfo_t* info, void*) {
        code = info->si_code;
        status = info->si_status;
        sender = info->si_pid;
    };
    sigaction(SIGCHLD, &action, nullptr);
    pid_t pid = spawn([] { return 17; });
    wait_for(pid);
    CHECK(sender == pid);
    CHECK(code == CLD_EXITED);
    print("status %d\n", (int)status);
    pid = spawn([] {
        kill(getpid(), SIGKILL);
        return 0;
    });
    wait_for(pid);
    CHECK(code == CLD_KILLED);
    print("status %d\n", (int)status);
}

CASE(signal_storm_is_counted_once_each) {
    static volatile sig_atomic_t count;
    struct sigaction action = {};
    action.sa_handler = [](int) { count = count + 1; };
    sigaction(SIGRTMIN + 3, &action, nullptr);
    for (int i = 0; i < 500; i++) raise(SIGRTMIN + 3);
    pid_t parent = getpid();
    pid_t pid = spawn([=] {
        sigval value = {};
        for (int i = 0; i < 500; i++)
            while (sigqueue(parent, SIGRTMIN + 3, value) < 0) sleep_ms(1);
        return 0;
    });
    print("%s\n", decode_status(wait_for(pid)));
    print("count %d\n", (int)count);
}

static int frame_change;

// Each return from a handler loads what the frame holds by then.
static void change_frame(int, siginfo_t*, void* context) {
    auto* user = (ucontext_t*)context;
    auto* area = (uint32_t*)user->uc_mcontext.fpregs;
    const int kXmm0 = 160 / 4, kMagic1 = 464 / 4, kSize = 468 / 4;
    if (frame_change > 0) area[kXmm0] = 0x1000 + frame_change;
    if (frame_change == 2) area[kMagic1] = 0;                  // only the legacy part is taken then
    if (frame_change == 3) area[area[kSize] / 4 - 1] = 0;      // magic2: the same
    if (frame_change == 4) user->uc_mcontext.fpregs = nullptr;  // the state of a fresh program
}

CASE(handlers_change_the_frame) {
    struct sigaction action = {};
    action.sa_sigaction = change_frame;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGUSR1, &action, nullptr);
    for (frame_change = 0; frame_change <= 4; frame_change++) {
        long result = SYS_kill;
        unsigned first, second;
        asm volatile("pcmpeqb %%xmm0, %%xmm0; syscall; movd %%xmm0, %1; psrldq $4, %%xmm0; movd %%xmm0, %2"
                     : "+a"(result), "=r"(first), "=r"(second)
                     : "D"((long)getpid()), "S"((long)SIGUSR1)
                     : "rcx", "r11", "memory", "xmm0");
        print("change %d: result %ld, words %x %x\n", frame_change, result, first, second);
    }
}
