// What a program does with its own signals: rt_sigaction(2), rt_sigprocmask(2), sigaltstack(2), sigsuspend(2),
// sigtimedwait(2). Sending is in signal_sending.cpp.
#include "arch/x86_64/user_word.h"
#include "libc-compat/families.h"
#include "libc-compat/syscall.h"
#include "libc-compat/user_time.h"
#include "process/signal_frame.h"
#include "process/signal_info.h"
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
void discard(Process& process, int signal, core::SpinGuard& guard) {
    PendingSignals::EntryList dropped;
    drop_pending_locked(process, SignalSet::of(signal), dropped);
    guard.unlock();
    free_entries(dropped);
}

// What a program may set.
constexpr uint64_t kKnownFlags = kSaNoCldStop | kSaNoCldWait | kSaSigInfo | kSaRestorer | kSaOnStack |
                                 kSaRestart | kSaNoDefer | kSaResetHand;

Result<void> any_sigaction(Context& context, int signal, UserIn<SignalAction> action, UserOut<SignalAction> old_action,
                           size_t set_size) {
    TRY(check_set_size(set_size));
    Process& process = context.process();
    SignalAction wanted, old;
    if (!action.is_null()) TRY(arch::copy_in(&wanted, action.address(), sizeof(wanted)));
    if (!is_signal(signal) || (!action.is_null() && kUnblockable.has(signal))) return fail(Errno::kInval);
    wanted.mask = wanted.mask & ~kUnblockable;
    wanted.flags &= kKnownFlags;
    {
        core::SpinGuard guard(process.signal_lock);
        old = process.actions[signal];
        if (!action.is_null()) {
            process.actions.set(signal, wanted);
            // POSIX: ignoring a signal discards it, blocked or not.
            if (ignored_locked(process, signal)) discard(process, signal, guard);
        }
    }
    if (old_action.is_null()) return {};
    return arch::copy_out(old_action.address(), &old, sizeof(old));
}
[[gnu::noinline]] int64_t decode_any_sigaction(Context context) { return detail::handler<&any_sigaction>(context); }

constexpr int64_t kBadAddress = -static_cast<int64_t>(Errno::kFault);

// Not to be inlined: asking needs fewer registers.
[[gnu::noinline]] int64_t set_action(Context context, Process& process, int signal, uint64_t from) {
    if (!process.signal_lock.try_lock()) [[unlikely]] return decode_any_sigaction(context);
    if ((kUnblockable | process.pending.set() | context.thread.pending.set()).has(signal)) [[unlikely]] {
        process.signal_lock.unlock();
        return decode_any_sigaction(context);
    }
    uint64_t words[4];
    const bool loaded = arch::load_user_words(from, words);
    if (loaded) [[likely]] {
        process.actions.set(signal, {words[0], words[1] & kKnownFlags, words[2], SignalSet{words[3]} & ~kUnblockable});
    }
    process.signal_lock.unlock();
    return loaded ? 0 : kBadAddress;
}

// posix_spawn(3) asks for the action of each signal and sets it: these two here, with few instructions; all else as
// usual.
int64_t sys_rt_sigaction(Context context) {
    const int signal = static_cast<int>(context.frame.rdi);
    const uint64_t from = context.frame.rsi, to = context.frame.rdx;
    Process& process = context.process();
    // Only threads of the process itself change its actions.
    const bool simple = context.frame.r10 == sizeof(SignalSet) && is_signal(signal) && process.thread_count == 1 &&
                        !arch::ProgramKeys::in_use();
    if (!simple) [[unlikely]] return decode_any_sigaction(context);
    if (from == 0) {
        const SignalAction& action = process.actions[signal];
        const uint64_t words[4] = {action.handler, action.flags, action.restorer, action.mask.bits};
        if (arch::store_user_words(to, words)) [[likely]] return 0;
        return to == 0 ? 0 : kBadAddress;  // who asks for nothing pays for it
    }
    if (to != 0) return decode_any_sigaction(context);
    return set_action(context, process, signal, from);
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

Result<int> sys_rt_sigtimedwait(Context& context, UserIn<SignalSet> set, UserOut<UserSignalInfo> info,
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
    if (!info.is_null()) TRY(copy_out_info(info, taken));
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
