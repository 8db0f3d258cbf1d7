// What a program does with its own signals: rt_sigaction(2), rt_sigprocmask(2), sigaltstack(2), sigsuspend(2),
// sigtimedwait(2). Sending is in signal_sending.cpp.
#include "arch/x86_64/user_word.h"
#include "libc-compat/families.h"
#include "libc-compat/syscall.h"
#include "libc-compat/user_time.h"
#include "process/signal_frame.h"
#include "process/signal_state.h"
#include "sched/timer.h"

namespace abi {

namespace {

using namespace process;

constexpr bool is_signal(int signal) { return signal >= 1 && signal <= kSigMax; }

Result<void> check_set_size(size_t size) {
    if (size != sizeof(SignalSet)) return fail(Errno::kInval);
    return {};
}

// The guard is released.
[[gnu::noinline]] void discard(Process& process, int signal, core::SpinGuard& guard) {
    PendingSignals::EntryList dropped;
    drop_pending_locked(process, SignalSet::of(signal), dropped);
    guard.unlock();
    free_entries(dropped);
}

// kernel_sigaction: handler, flags, restorer, mask. False: EFAULT.
bool load_action(UserIn<SignalAction> from, SignalAction& action) {
    uint64_t words[4];
    if (!arch::load_user_words(from.address().value(), words)) return false;
    action = {words[0], words[1], words[2], {words[3]}};
    return true;
}
Result<void> store_action(UserOut<SignalAction> to, const SignalAction& action) {
    const uint64_t words[4] = {action.handler, action.flags, action.restorer, action.mask.bits};
    if (!arch::store_user_words(to.address().value(), words)) return fail(Errno::kFault);
    return {};
}

[[gnu::noinline]] Result<void> read_action_of_many(Process& process, int signal, UserOut<SignalAction> to) {
    const SignalAction action = [&] {
        core::SpinGuard guard(process.signal_lock);
        return process.actions[signal];
    }();
    return store_action(to, action);
}

// The usual question: nothing is changed. Only threads of the process itself change its actions.
[[gnu::noinline]] Result<void> read_action(Process& process, int signal, UserOut<SignalAction> to) {
    if (!is_signal(signal)) return fail(Errno::kInval);
    if (to.is_null()) return {};
    if (process.thread_count != 1) [[unlikely]] return read_action_of_many(process, signal, to);
    return store_action(to, process.actions[signal]);
}

[[gnu::noinline]] Result<void> change_action(Context& context, int signal, UserIn<SignalAction> from,
                                             UserOut<SignalAction> old_action) {
    constexpr uint64_t kKnownFlags = kSaNoCldStop | kSaNoCldWait | kSaSigInfo | kSaRestorer | kSaOnStack |
                                     kSaRestart | kSaNoDefer | kSaResetHand;
    Process& process = context.process();
    SignalAction wanted;
    if (!load_action(from, wanted)) return fail(Errno::kFault);
    if (!is_signal(signal) || kUnblockable.has(signal)) return fail(Errno::kInval);
    wanted.mask = wanted.mask & ~kUnblockable;
    wanted.flags &= kKnownFlags;
    core::SpinGuard guard(process.signal_lock);
    const bool wants_old = !old_action.is_null();
    SignalAction old;
    if (wants_old) old = process.actions[signal];
    process.actions.set(signal, wanted);
    // POSIX: ignoring a signal discards it, blocked or not.
    bool may_be_pending = process.thread_count > 1 ||
                          (process.pending.set() | context.thread.pending.set()).has(signal);
    if (may_be_pending && ignored_locked(process, signal)) [[unlikely]] discard(process, signal, guard);
    else guard.unlock();
    return wants_old ? store_action(old_action, old) : Result<void>();
}

// posix_spawn(3) calls this twice for each signal.
Result<void> sys_rt_sigaction(Context& context, int signal, UserIn<SignalAction> action,
                              UserOut<SignalAction> old_action, size_t set_size) {
    if (set_size != sizeof(SignalSet)) return fail(Errno::kInval);
    if (action.is_null()) return read_action(context.process(), signal, old_action);
    return change_action(context, signal, action, old_action);
}

Result<void> sys_rt_sigprocmask(Context& context, int how, UserIn<SignalSet> set, UserOut<SignalSet> old_set,
                                size_t set_size) {
    constexpr int kBlock = 0, kUnblock = 1, kSetMask = 2;
    TRY(check_set_size(set_size));
    SignalSet old = context.thread.blocked;
    if (!set.is_null()) {
        SignalSet change = TRY(arch::copy_in(set));
        switch (how) {
            case kBlock: change = old | change; break;
            case kUnblock: change = old & ~change; break;
            case kSetMask: break;
            default: return fail(Errno::kInval);
        }
        set_blocked(context.thread, change);
    }
    if (old_set.is_null()) return {};
    return arch::copy_out(old_set, old);
}

Result<uint64_t> sys_rt_sigreturn(Context& context) {
    auto restored = restore_signal_frame(context.thread, context.frame);
    if (!restored) {
        context.thread.in_system_call = false;
        force_signal(context.thread, simple_signal(kSigSegv));
    }
    return context.frame.rax;
}

Result<void> sys_rt_sigpending(Context& context, UserOut<std::byte> set, size_t set_size) {
    if (set_size > sizeof(SignalSet)) return fail(Errno::kInval);
    SignalSet pending;
    {
        core::SpinGuard guard(context.process().signal_lock);
        pending = (context.thread.pending.set() | context.process().pending.set()) & context.thread.blocked;
    }
    return arch::copy_out(set.address(), &pending, set_size);
}

void sleep_until_signal() {
    while (!signal_pending()) sched::sleep_until(core::kNever, sched::Interruptible::kYes);
}

Result<void> sys_rt_sigsuspend(Context& context, UserIn<SignalSet> mask, size_t set_size) {
    TRY(check_set_size(set_size));
    set_temporary_mask(context.thread, TRY(arch::copy_in(mask)));
    sleep_until_signal();
    return fail(Errno::kRestartNoHandler);
}

Result<void> sys_pause(Context&) {
    sleep_until_signal();
    return fail(Errno::kRestartNoHandler);
}

// Waits with `wanted` unblocked but not delivered (Thread::awaited).
void sleep_for_signals(Thread& thread, SignalSet wanted, Nanoseconds deadline) {
    SignalSet blocked = thread.blocked;
    {
        core::SpinGuard guard(thread.process->signal_lock);
        thread.awaited = wanted & blocked;
    }
    set_blocked(thread, blocked & ~wanted);
    if (!signal_pending()) sched::sleep_until(deadline, sched::Interruptible::kYes);
    // In this order: a signal that arrives in between must find itself blocked or awaited, else it kills.
    set_blocked(thread, blocked);
    core::SpinGuard guard(thread.process->signal_lock);
    thread.awaited = {};
}

Result<int> sys_rt_sigtimedwait(Context& context, UserIn<SignalSet> set, UserOut<SignalInfo> info,
                                UserIn<UserTimespec> timeout, size_t set_size) {
    TRY(check_set_size(set_size));
    SignalSet wanted = TRY(arch::copy_in(set)) & ~kUnblockable;
    Nanoseconds deadline = core::kNever;
    bool sleeps = true;
    if (!timeout.is_null()) {
        Nanoseconds duration = TRY(read_timespec(timeout));
        sleeps = duration != 0;
        deadline = deadline_after(duration);
    }
    SignalInfo taken;
    bool found = take_signal(context.thread, wanted, taken);
    bool timed_out = !sleeps;
    if (!found && sleeps) {
        sleep_for_signals(context.thread, wanted, deadline);
        found = take_signal(context.thread, wanted, taken);
        timed_out = sched::monotonic_ns() >= deadline;
    }
    if (!found) return fail(timed_out ? Errno::kAgain : Errno::kIntr);
    if (!info.is_null()) TRY(arch::copy_out(info, taken));
    return taken.signal;
}

Result<void> sys_sigaltstack(Context& context, UserIn<SignalStack> stack, UserOut<SignalStack> old_stack) {
    constexpr size_t kMinimum = 2048;  // MINSIGSTKSZ
    SignalStack wanted;
    if (!stack.is_null()) wanted = TRY(arch::copy_in(stack));
    SignalStack old = reported_stack(context.thread.alternate_stack, context.frame.rsp);
    if (!stack.is_null()) TRY(change_alternate_stack(context.thread, wanted, context.frame.rsp, kMinimum));
    if (old_stack.is_null()) return {};
    return arch::copy_out(old_stack, old);
}

Result<int64_t> sys_restart_syscall(Context& context) {
    RestartBlock block = context.thread.restart;
    if (!block.resume) return fail(Errno::kIntr);
    return block.resume(context.thread, block);
}

constexpr SystemCall kCalls[] = {
    CALL(13, rt_sigaction, "signum, act, oldact, sigsetsize"),
    CALL(14, rt_sigprocmask, "how, set, oldset, sigsetsize"),
    CALL(15, rt_sigreturn, ""),
    CALL(34, pause, ""),
    CALL(127, rt_sigpending, "set, sigsetsize"),
    CALL(128, rt_sigtimedwait, "set, info, timeout, sigsetsize"),
    CALL(130, rt_sigsuspend, "mask, sigsetsize"),
    CALL(131, sigaltstack, "ss, old_ss"),
    CALL(219, restart_syscall, ""),
};

}  // namespace

const SystemCallFamily kSignalFamily{"Signals", kCalls};

}  // namespace abi
