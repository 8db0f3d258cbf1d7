// Sending signals: generation, stop and continue effects, choice of the thread (signal(7); POSIX 2.4).
#include "fs/process_host.h"
#include "process/signal_state.h"
#include "process/tree.h"

namespace process {

namespace {

enum class InfoNeed : uint8_t { kBestEffort, kRequired };

bool wants_signal(const Thread& thread, int signal) {
    if (thread.must_exit) return false;
    if (signal == kSigKill) return true;
    return !thread.blocked.has(signal) && !thread.stopped;
}

// The thread that will look at a signal for the whole process: the running one or the first that is free.
Thread* choose_locked(Process& process, int signal) {
    Thread* self = current_thread_or_null();
    if (self && self->process == &process && wants_signal(*self, signal)) return self;
    Thread* busy = nullptr;
    for (Thread& thread : process.threads) {
        if (!wants_signal(thread, signal)) continue;
        if (!thread.interrupt_pending.load()) return &thread;
        if (!busy) busy = &thread;
    }
    return busy;
}

// True if a signal that does nothing by default would vanish: the usual fate of SIGCHLD, known before memory for it is
// taken. Such a signal neither stops nor continues anybody.
bool vanishes(Process& process, const Thread* target, int signal) {
    if (default_action(signal) != DefaultAction::kIgnore) return false;
    core::SpinGuard guard(process.signal_lock);
    if (process.threads.empty() || process.exiting) return true;
    const Thread& judge = target ? *target : process.threads.front();
    return !(judge.blocked | judge.awaited).has(signal) && ignored_locked(process, signal);
}

Result<void> send(Process& process, Thread* target, const SignalInfo& info, InfoNeed need) {
    int signal = info.signal;
    if (vanishes(process, target, signal)) return {};
    std::unique_ptr<QueuedSignal> entry;
    PendingSignals::EntryList dropped;
    core::Defer free_dropped([&] { free_entries(dropped); });  // after unlocking
    core::SpinGuard guard(process.signal_lock);
    if (signal != kSigKill) {
        entry = std::move(process.spare_signal);
        if (entry) {
            entry->info = info;
        } else {
            guard.unlock();
            entry.reset(new (std::nothrow) QueuedSignal(info));
            guard.relock(process.signal_lock);
        }
    }
    if (process.threads.empty() || process.exiting) return {};
    if (kStopSignals.has(signal)) {
        drop_pending_locked(process, SignalSet::of(kSigCont), dropped);
    } else if (signal == kSigCont) {
        drop_pending_locked(process, kStopSignals, dropped);
        continue_locked(process, true);
    }
    const Thread& judge = target ? *target : process.threads.front();
    // A blocked signal is kept even if it is ignored now: the action may change before it is unblocked.
    if (!(judge.blocked | judge.awaited).has(signal) && ignored_locked(process, signal)) return {};
    PendingSignals& queue = target ? target->pending : process.pending;
    if (signal < kSigRtMin && queue.set().has(signal)) return {};
    bool needs_info = need == InfoNeed::kRequired && signal >= kSigRtMin;
    if (needs_info && (!entry || queue.size() >= process.limits[kLimitSigPending].soft)) return fail(Errno::kAgain);
    QueuedSignal* unused = queue.add(signal, entry.release());
    entry.reset(unused);
    fs::signal_became_pending(signal);
    Thread* chosen = target ? (wants_signal(*target, signal) ? target : nullptr) : choose_locked(process, signal);
    if (signal == kSigKill && !chosen) chosen = &process.threads.front();
    if (!chosen) return {};
    bool fatal = signal == kSigKill || (!chosen->awaited.has(signal) && process.actions[signal].handler == kSigDfl &&
                                        default_action(signal) == DefaultAction::kTerminate);
    // What ends the process ends it at once, also if the chosen thread sleeps where only death wakes it. Faults go
    // through delivery, which logs them.
    if (fatal && !(target && target->forced_signal == signal)) begin_group_exit_locked(process, signal);
    else sched::interrupt(*chosen);
    return {};
}

}  // namespace

bool ignored_locked(const Process& process, int signal) {
    const SignalAction& action = process.actions[signal];
    if (action.handler == kSigIgn) return true;
    if (action.handler != kSigDfl) return false;
    DefaultAction what = default_action(signal);
    return what == DefaultAction::kIgnore || what == DefaultAction::kContinue;
}

bool has_work_locked(const Thread& thread) {
    const Process& process = *thread.process;
    SignalSet pending = thread.pending.set() | process.pending.set();
    return thread.must_exit || !(pending & ~thread.blocked).empty() || process.stop_signal != 0 ||
           process.notify_continued || process.notify_stopped;
}

void begin_group_exit_locked(Process& process, int wait_status) {
    if (process.exiting) return;
    process.exiting = true;
    process.group_exit_status = wait_status;
    process.stop_signal = 0;
    process.stop_complete = process.stop_unreported = process.stop_dequeued = false;
    process.stopped_threads = 0;
    for (Thread& thread : process.threads) {
        thread.must_exit = true;
        thread.stopped = false;
        sched::interrupt(thread);
        sched::wake(thread);  // also from sleeps that only death ends: vfork, stops
    }
}

void continue_locked(Process& process, bool by_signal) {
    process.stop_dequeued = false;
    if (process.stop_signal == 0) return;
    bool was_complete = process.stop_complete;
    process.stop_signal = 0;
    process.stop_complete = process.stop_unreported = false;
    process.stopped_threads = 0;
    if (by_signal && was_complete) process.continue_unreported = process.notify_continued = true;
    else if (by_signal) process.notify_stopped = true;
    bool first = true;
    for (Thread& thread : process.threads) {
        if (first) sched::interrupt(thread);  // it tells the parent
        first = false;
        if (!thread.stopped) continue;
        thread.stopped = false;
        sched::wake(thread);
    }
}

void begin_stop_locked(Process& process, int signal) {
    process.stop_signal = signal;
    process.stop_complete = false;
    process.stopped_threads = 0;
    process.continue_unreported = false;
    for (Thread& thread : process.threads) sched::interrupt(thread);
}

void retarget_locked(Process& process, Thread& thread, SignalSet which) {
    which = which & process.pending.set();
    if (which.empty()) return;
    for (Thread& other : process.threads) {
        if (&other == &thread || other.must_exit || (which & ~other.blocked).empty()) continue;
        which = which & other.blocked;
        sched::interrupt(other);
        if (which.empty()) return;
    }
}

void drop_pending_locked(Process& process, SignalSet which, PendingSignals::EntryList& dropped) {
    process.pending.drop(which, dropped);
    for (Thread& thread : process.threads) thread.pending.drop(which, dropped);
}

void send_signal(Process& process, const SignalInfo& info) {
    (void)send(process, nullptr, info, InfoNeed::kBestEffort);
}
void send_signal(Thread& thread, const SignalInfo& info) {
    (void)send(*thread.process, &thread, info, InfoNeed::kBestEffort);
}
Result<void> queue_signal(Process& process, const SignalInfo& info) {
    return send(process, nullptr, info, InfoNeed::kRequired);
}
Result<void> queue_signal(Thread& thread, const SignalInfo& info) {
    return send(*thread.process, &thread, info, InfoNeed::kRequired);
}

void force_signal(Thread& thread, const SignalInfo& info) {
    {
        core::SpinGuard guard(thread.process->signal_lock);
        SignalActions& actions = thread.process->actions;
        bool blocked = thread.blocked.has(info.signal);
        if (blocked || actions[info.signal].handler == kSigIgn) actions.set_handler(info.signal, kSigDfl);
        if (blocked) thread.blocked.remove(info.signal);
        thread.forced_signal = info.signal;
    }
    send_signal(thread, info);
}

Result<void> send_to_group(int process_group, const SignalInfo& info) {
    core::SpinGuard guard(tree().lock);
    PidNumber* group = tree().pids.find(process_group);
    if (!group || group->group.empty()) return fail(Errno::kSrch);
    for (Process& member : group->group) send_signal(member, info);
    return {};
}

bool signal_pending() {
    Thread* thread = current_thread_or_null();
    return thread && thread->interrupt_pending.load();
}

SignalInfo simple_signal(int signal, int code) {
    SignalInfo info;
    info.signal = signal;
    info.code = code;
    return info;
}

void set_blocked(Thread& thread, SignalSet blocked) {
    blocked = blocked & ~kUnblockable;
    Process& process = *thread.process;
    core::SpinGuard guard(process.signal_lock);
    SignalSet newly_blocked = blocked & ~thread.blocked;
    thread.blocked = blocked;
    if (!(newly_blocked & process.pending.set()).empty()) retarget_locked(process, thread, newly_blocked);
    thread.interrupt_pending.store(has_work_locked(thread));
}

void set_temporary_mask(Thread& thread, SignalSet mask) {
    thread.saved_mask = thread.blocked;
    thread.restore_saved_mask = true;
    thread.exit_work.fetch_or(sched::kWorkSignalMask, std::memory_order_relaxed);
    set_blocked(thread, mask);
}

bool take_signal(Thread& thread, SignalSet wanted, SignalInfo& info) {
    QueuedSignal* entry = nullptr;
    bool taken;
    {
        core::SpinGuard guard(thread.process->signal_lock);
        taken = thread.pending.take(wanted, info, entry) || thread.process->pending.take(wanted, info, entry);
        thread.interrupt_pending.store(has_work_locked(thread));
    }
    free_entry(entry);
    return taken;
}

}  // namespace process
