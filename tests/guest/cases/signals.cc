// Sending, handling, blocking; what a handler sees and what it interrupts.
#include <setjmp.h>
#include <sys/ucontext.h>

#include "case.h"

static volatile sig_atomic_t seen_signal, seen_code, seen_count;
static volatile sig_atomic_t seen_value;

static void note(int signal) {
    seen_signal = signal;
    seen_count = seen_count + 1;
}

static void note_info(int signal, siginfo_t* info, void*) {
    note(signal);
    seen_code = info->si_code;
    seen_value = info->si_value.sival_int;
}

static void handle(int signal, int flags, void (*handler)(int) = note) {
    struct sigaction action = {};
    action.sa_handler = handler;
    action.sa_flags = flags;
    MUST(sigaction(signal, &action, nullptr));
}

static void handle_info(int signal, int flags = 0) {
    struct sigaction action = {};
    action.sa_sigaction = note_info;
    action.sa_flags = SA_SIGINFO | flags;
    MUST(sigaction(signal, &action, nullptr));
}

static sigset_t set_of(int first, int second = 0) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, first);
    if (second) sigaddset(&set, second);
    return set;
}

CASE(handler_runs) {
    COVERS(rt_sigaction, rt_sigreturn, kill);
    NO_ERROR_PATH(rt_sigreturn);
    handle(SIGUSR1, 0);
    SHOW(kill(getpid(), SIGUSR1));
    print("handler saw %s, %d time\n", signal_name(seen_signal), (int)seen_count);
}

CASE(kill_errors) {
    COVERS_ERROR(kill, tkill, tgkill);
    SHOW(kill(getpid(), 0));
    SHOW(kill(getpid(), 65));
    SHOW(kill(getpid(), -1));
    SHOW(kill(999999, SIGTERM));
    SHOW(kill(-999999, SIGTERM));
    SHOW(syscall(SYS_tkill, 0, SIGTERM));
    SHOW(syscall(SYS_tkill, 999999, SIGTERM));
    SHOW(syscall(SYS_tgkill, getpid(), -1, SIGTERM));
    SHOW(syscall(SYS_tgkill, getpid(), 999999, SIGTERM));
    SHOW(syscall(SYS_tgkill, getppid(), getpid(), SIGTERM));
    SHOW(syscall(SYS_tgkill, getpid(), getpid(), 65));
}

CASE(sigaction_errors) {
    COVERS_ERROR(rt_sigaction);
    struct sigaction action = {};
    SHOW(sigaction(SIGKILL, &action, nullptr));
    SHOW(sigaction(SIGSTOP, &action, nullptr));
    SHOW(sigaction(0, &action, nullptr));
    SHOW(sigaction(65, &action, nullptr));
    SHOW(syscall(SYS_rt_sigaction, SIGUSR1, bad_address(), 0, 8));
    SHOW(syscall(SYS_rt_sigaction, SIGUSR1, 0, bad_address(), 8));
    SHOW(syscall(SYS_rt_sigaction, SIGUSR1, 0, 0, 4));
    SHOW(syscall(SYS_rt_sigaction, SIGUSR1, 0, 0, 8));
    SHOW(sigaction(SIGKILL, nullptr, &action));
}

CASE(sigaction_returns_old) {
    COVERS(rt_sigaction);
    struct sigaction old = {};
    handle(SIGUSR2, SA_RESTART | SA_NODEFER);
    SHOW(sigaction(SIGUSR2, nullptr, &old));
    CHECK(old.sa_handler == note);
    CHECK((old.sa_flags & (SA_RESTART | SA_NODEFER)) == (SA_RESTART | SA_NODEFER));
    signal(SIGUSR2, SIG_IGN);
    sigaction(SIGUSR2, nullptr, &old);
    CHECK(old.sa_handler == SIG_IGN);
}

// The last 80 bytes of a siginfo_t must be 0 where the kernel does not know what the code says.
CASE(queued_information_of_unknown_layout) {
    COVERS(rt_sigqueueinfo);
    COVERS_ERROR(rt_sigqueueinfo);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    static const int kCodes[] = {-1, -7, -8, -59, -60, 6, 7};
    for (int code : kCodes) {
        for (int last = 0; last <= 1; last++) {
            alignas(siginfo_t) unsigned char bytes[sizeof(siginfo_t)] = {};
            auto& info = *(siginfo_t*)bytes;
            info.si_code = code;
            info.si_value.sival_int = 17;
            bytes[sizeof bytes - 1] = last;
            print("code %d, last byte %d: ", code, last);
            SHOW(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, &info));
            siginfo_t got;
            memset(&got, 0xff, sizeof got);
            timespec none = {};
            if (sigtimedwait(&set, &got, &none) < 0) continue;
            print("got %d, value %d, last byte %d\n", got.si_code, got.si_value.sival_int,
                  ((unsigned char*)&got)[sizeof got - 1]);
        }
    }
}

CASE(siginfo_of_kill_and_sigqueue) {
    COVERS(rt_sigqueueinfo, tgkill, tkill);
    COVERS_ERROR(rt_sigqueueinfo);
    handle_info(SIGUSR1);
    kill(getpid(), SIGUSR1);
    print("kill: %s\n", seen_code == SI_USER ? "SI_USER" : "other");
    sigval value;
    value.sival_int = 77;
    SHOW(sigqueue(getpid(), SIGUSR1, value));
    print("sigqueue: %s value %d\n", seen_code == SI_QUEUE ? "SI_QUEUE" : "other", (int)seen_value);
    SHOW(syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1));
    print("tgkill: %s\n", seen_code == SI_TKILL ? "SI_TKILL" : "other");
    SHOW(syscall(SYS_tkill, getpid(), SIGUSR1));
    SHOW(sigqueue(999999, SIGUSR1, value));
    SHOW(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, bad_address()));
    siginfo_t forged = {};
    forged.si_code = SI_USER;
    SHOW(syscall(SYS_rt_sigqueueinfo, getppid(), 0, &forged));
    forged.si_code = SI_QUEUE;
    SHOW(syscall(SYS_rt_tgsigqueueinfo, getpid(), getpid(), SIGUSR1, &forged));
}

CASE(blocked_signals_stay_pending) {
    COVERS(rt_sigprocmask, rt_sigpending);
    COVERS_ERROR(rt_sigprocmask, rt_sigpending);
    handle(SIGUSR1, 0);
    sigset_t set = set_of(SIGUSR1), old, pending;
    SHOW(sigprocmask(SIG_BLOCK, &set, &old));
    CHECK(sigismember(&old, SIGUSR1));
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGUSR1);
    print("while blocked: %d\n", (int)seen_count);
    SHOW(sigpending(&pending));
    CHECK(sigismember(&pending, SIGUSR1));
    SHOW(sigprocmask(SIG_UNBLOCK, &set, nullptr));
    print("after: %d\n", (int)seen_count);
    SHOW(sigprocmask(77, &set, nullptr));
    SHOW(sigprocmask(77, nullptr, &old));
    SHOW(syscall(SYS_rt_sigprocmask, SIG_BLOCK, bad_address(), 0, 8));
    SHOW(syscall(SYS_rt_sigprocmask, SIG_BLOCK, 0, bad_address(), 8));
    SHOW(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, 0, 4));
    SHOW(syscall(SYS_rt_sigpending, bad_address(), 8));
}

CASE(kill_and_stop_cannot_be_blocked) {
    sigset_t all, now;
    sigfillset(&all);
    MUST(sigprocmask(SIG_SETMASK, &all, nullptr));
    MUST(sigprocmask(SIG_SETMASK, nullptr, &now));
    CHECK(sigismember(&now, SIGKILL));
    CHECK(sigismember(&now, SIGSTOP));
    CHECK(sigismember(&now, SIGTERM));
}

CASE(realtime_signals_queue_in_order) {
    COVERS(rt_sigqueueinfo);
    static int order[8];
    static int got;
    struct sigaction action = {};
    action.sa_flags = SA_SIGINFO;
    sigfillset(&action.sa_mask);
    action.sa_sigaction = [](int signal, siginfo_t* info, void*) {
        order[got++] = (signal - SIGRTMIN) * 100 + info->si_value.sival_int;
    };
    sigaction(SIGRTMIN + 1, &action, nullptr);
    sigaction(SIGRTMIN + 2, &action, nullptr);
    sigset_t set = set_of(SIGRTMIN + 1, SIGRTMIN + 2);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    for (int i = 1; i <= 3; i++) {
        sigval value;
        value.sival_int = i;
        sigqueue(getpid(), SIGRTMIN + 2, value);
        sigqueue(getpid(), SIGRTMIN + 1, value);
    }
    sigprocmask(SIG_UNBLOCK, &set, nullptr);
    // Each handler frame is set up before the first runs unless masked; sa_mask keeps the order by number.
    for (int i = 0; i < got; i++) print("%d\n", order[i]);
}

CASE(handler_mask_and_nodefer) {
    static int depth, deepest, left = 3;
    auto nested = [](int signal) {
        depth++;
        if (depth > deepest) deepest = depth;
        if (--left > 0) raise(signal);
        depth--;
    };
    handle(SIGUSR1, 0, nested);
    raise(SIGUSR1);
    print("deferred: deepest %d\n", deepest);
    deepest = 0;
    left = 3;
    handle(SIGUSR1, SA_NODEFER, nested);
    raise(SIGUSR1);
    print("nodefer: deepest %d\n", deepest);
}

CASE(handler_mask_is_restored) {
    struct sigaction action = {};
    action.sa_handler = [](int) {
        sigset_t now;
        sigprocmask(SIG_SETMASK, nullptr, &now);
        print("inside: USR1 %d USR2 %d\n", sigismember(&now, SIGUSR1), sigismember(&now, SIGUSR2));
    };
    action.sa_mask = set_of(SIGUSR2);
    sigaction(SIGUSR1, &action, nullptr);
    raise(SIGUSR1);
    sigset_t now;
    sigprocmask(SIG_SETMASK, nullptr, &now);
    print("after: USR1 %d USR2 %d\n", sigismember(&now, SIGUSR1), sigismember(&now, SIGUSR2));
}

CASE(resethand_is_one_shot) {
    show_child("second signal", [] {
        handle(SIGUSR1, SA_RESETHAND);
        raise(SIGUSR1);
        print("first handled\n");
        raise(SIGUSR1);
        return 0;
    });
}

CASE(default_actions) {
    int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGILL, SIGABRT, SIGFPE, SIGALRM, SIGTERM, SIGUSR1, SIGBUS,
                     SIGCHLD, SIGURG, SIGWINCH, SIGCONT, SIGIO, SIGSYS, SIGXCPU, SIGVTALRM, SIGTRAP};
    for (int signal : signals) {
        int status = wait_for(spawn([=] {
            raise(signal);
            return 0;
        }));
        print("%s: %s\n", signal_name(signal), decode_status(status));
    }
}

CASE(stop_signals_stop) {
    int signals[] = {SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU};
    for (int signal : signals) {
        pid_t pid = spawn([=] {
            raise(signal);
            return 6;
        });
        int status;
        MUST(waitpid(pid, &status, WUNTRACED));
        print("%s, ", decode_status(status));
        kill(pid, SIGCONT);
        print("then %s\n", decode_status(wait_for(pid)));
    }
}

static void divide_by_zero() { asm volatile("xor %%ecx, %%ecx; mov $1, %%eax; cltd; idiv %%ecx" ::: "eax", "ecx", "edx"); }

static void x87_divide(double dividend, double divisor, uint16_t control) {
    asm volatile("fninit; fldcw %2; fldl %0; fdivl %1; fwait" : : "m"(dividend), "m"(divisor), "m"(control));
}

static sigjmp_buf escape;
static void jump_out(int signal, siginfo_t* info, void*) {
    seen_signal = signal;
    seen_code = info->si_code;
    siglongjmp(escape, 1);
}

static void catch_fault(const char* what, void (*fault)(), int signal) {
    struct sigaction action = {};
    action.sa_sigaction = jump_out;
    action.sa_flags = SA_SIGINFO;
    sigaction(signal, &action, nullptr);
    if (sigsetjmp(escape, 1) == 0) {
        fault();
        print("%s: no fault\n", what);
    } else {
        print("%s: %s code %d\n", what, signal_name(seen_signal), (int)seen_code);
    }
}

CASE(fault_signals_and_codes) {
    catch_fault("unmapped", [] { *(volatile char*)8 = 1; }, SIGSEGV);
    catch_fault("no permission", [] { *(volatile char*)bad_address() = 1; }, SIGSEGV);
    catch_fault("read only", [] { *(volatile char*)read_only_page() = 1; }, SIGSEGV);
    catch_fault("kernel half", [] { (void)*(volatile char*)0xffffffff80000000; }, SIGSEGV);
    catch_fault("not canonical", [] { (void)*(volatile char*)0x8000000000000000; }, SIGSEGV);
    catch_fault("division", divide_by_zero, SIGFPE);
    // Control words that do not mask invalid, division by zero, inexact. (QEMU's TCG makes no exceptions of SSE.)
    catch_fault("x87 invalid", [] { x87_divide(0.0, 0.0, 0x37e); }, SIGFPE);
    catch_fault("x87 division", [] { x87_divide(1.0, 0.0, 0x37b); }, SIGFPE);
    catch_fault("x87 inexact", [] { x87_divide(1.0, 3.0, 0x35f); }, SIGFPE);
    catch_fault("ud2", [] { asm volatile("ud2"); }, SIGILL);
    catch_fault("int3", [] { asm volatile("int3"); }, SIGTRAP);
    catch_fault("hlt", [] { asm volatile("hlt"); }, SIGSEGV);
    catch_fault("cli", [] { asm volatile("cli"); }, SIGSEGV);
    catch_fault("execute data", [] {
        static char data[16] = {(char)0xc3};
        ((void (*)())data)();
    }, SIGSEGV);
}

static struct FpuControl {
    uint16_t x87, status;
    uint32_t mxcsr;
} in_handler;

static FpuControl fpu_control() {
    FpuControl now;
    asm volatile("fnstcw %0; fnstsw %1; stmxcsr %2" : "=m"(now.x87), "=m"(now.status), "=m"(now.mxcsr));
    return now;
}

static void print_fpu(const char* where, const FpuControl& control) {
    print("%s: x87 control %#x status %#x, mxcsr %#x\n", where, control.x87, control.status, control.mxcsr);
}

CASE(handler_starts_with_a_fresh_fpu) {
    struct sigaction action = {};
    action.sa_handler = [](int) { in_handler = fpu_control(); };
    sigaction(SIGUSR1, &action, nullptr);
    const uint16_t x87 = 0x27f;
    const uint32_t mxcsr = 0x7fc0;
    FpuControl after;
    long result;
    // Two values on the x87 stack; a system call, so that nothing in between uses it.
    asm volatile("fninit; fldcw %4; ldmxcsr %5; fld1; fldz; syscall\n"
                 "fnstcw %1; fnstsw %2; stmxcsr %3; fninit"
                 : "=a"(result), "=m"(after.x87), "=m"(after.status), "=m"(after.mxcsr)
                 : "m"(x87), "m"(mxcsr), "a"((long)SYS_tgkill), "D"((long)getpid()), "S"((long)gettid()),
                   "d"((long)SIGUSR1)
                 : "rcx", "r11", "memory");
    const uint32_t normal = 0x1f80;
    asm volatile("ldmxcsr %0" : : "m"(normal));
    print("tgkill = %ld\n", result);
    print_fpu("in the handler", in_handler);
    print_fpu("after it", after);
}

CASE(fault_without_handler_kills) {
    show_child("unmapped", [] {
        *(volatile char*)8 = 1;
        return 0;
    });
    show_child("division", [] {
        divide_by_zero();
        return 0;
    });
    show_child("ud2", [] {
        asm volatile("ud2");
        return 0;
    });
    show_child("ignored fault still kills", [] {
        signal(SIGSEGV, SIG_IGN);
        *(volatile char*)8 = 1;
        return 0;
    });
    show_child("blocked fault still kills", [] {
        sigset_t set = set_of(SIGSEGV);
        sigprocmask(SIG_BLOCK, &set, nullptr);
        handle(SIGSEGV, 0);
        *(volatile char*)8 = 1;
        return 0;
    });
    show_child("abort", [] {
        abort();
        return 0;
    });
}
