// Stopping and continuing, and telling the parent (signal(7), wait(2), termios(3)).
#include "process/signal_state.h"
#include "process/tree.h"
#include "process/usage.h"

namespace process {

void notify_parent_of_stop(Process& process, int code) {
    core::SpinGuard guard(tree().lock);
    Process* parent = process.parent;
    if (!parent || process.zombie) return;
    SignalInfo info = simple_signal(kSigChld, code);
    info.child = {process.pid, 0, 0, 0, 0, 0};
    Usage usage = usage_of(process);
    info.child.utime = static_cast<int64_t>(usage.user_ns / kNanosecondsPerTick);
    info.child.stime = static_cast<int64_t>(usage.system_ns / kNanosecondsPerTick);
    {
        core::SpinGuard own(process.signal_lock);
        info.child.status = code == kCldContinued ? kSigCont : process.stop_signal;
        if (!process.threads.empty()) info.child.uid = process.threads.front().credentials->uid;
        if (code == kCldStopped && process.stop_signal == 0) info.child.status = kSigStop;
    }
    bool wanted;
    {
        core::SpinGuard other(parent->signal_lock);
        const SignalAction& action = parent->actions[kSigChld];
        wanted = action.handler != kSigIgn && !(action.flags & kSaNoCldStop);
    }
    if (wanted) send_signal(*parent, info);
    parent->child_exited.wake_all();
}

void stop_here(Thread& thread, core::SpinGuard& guard) {
    Process& process = *thread.process;
    thread.stopped = true;
    process.stopped_threads++;
    if (process.stopped_threads == process.thread_count && !process.stop_complete) {
        process.stop_complete = process.stop_unreported = true;
        guard.unlock();
        notify_parent_of_stop(process, kCldStopped);
        guard.relock(process.signal_lock);
    }
    while (thread.stopped && !thread.must_exit) {
        sched::prepare_sleep(sched::Interruptible::kNo);
        guard.unlock();
        sched::sleep();
        guard.relock(process.signal_lock);
    }
    thread.stopped = false;
}

bool group_is_orphaned_locked(PidNumber& group, const Process* except) {
    for (const Process& member : group.group) {
        if (&member == except || member.zombie || !member.parent || member.parent->pid == 1) continue;
        if (member.parent->process_group != member.process_group && member.parent->session == member.session) {
            return false;
        }
    }
    return true;
}

}  // namespace process
