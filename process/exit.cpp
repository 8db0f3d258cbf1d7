#include "process/exit.h"

#include <cstring>

#include "arch/x86_64/processor.h"
#include "arch/x86_64/user_copy.h"
#include "core/log.h"
#include "fs/process_host.h"
#include "mpk/table_audit.h"
#include "process/clone.h"
#include "process/futex.h"
#include "process/out_of_memory.h"
#include "process/signal_state.h"
#include "process/timers.h"
#include "process/tree.h"
#include "process/usage.h"

namespace process {

namespace {

void (*first_process_ended)(int wait_status) = nullptr;

// Drops memory and files, so that who waits for this process finds them free.
void release_resources(Thread& thread, bool last) {
    Process& process = *thread.process;
    if (last) note_resident_pages(process, *thread.address_space);
    Ref<fs::FdTable> files;
    Ref<fs::FsContext> fs_context;
    Ref<mm::AddressSpace> space, process_space;
    Ref<fs::Dentry> executable;
    Ref<fs::Mount> executable_mount;
    {
        core::SpinGuard guard(process.signal_lock);
        files = std::move(thread.files);
        fs_context = std::move(thread.fs_context);
        if (last) {
            process_space = std::move(process.address_space);
            executable = std::move(process.executable_dentry);
            executable_mount = std::move(process.executable_mount);
        }
        space = thread.address_space;
    }
    if (files && files->reference_count() == 1) files->close_all();
    files.reset();
    if (executable) executable->inode().end_execution();
    thread.address_space.reset();
    if (last) {
        space->activate();  // a thread that ends in a system call may still have its isolated table, its space confined
        mpk::audit_loaded_table(space->model());
    }
    space->deactivate();
    process_space.reset();
    space.reset();
    if (thread.vfork_done) {
        thread.vfork_done->complete();
        thread.vfork_done.reset();
    }
}

// The nearest living ancestor that wants orphans (prctl(2), PR_SET_CHILD_SUBREAPER), else the first process.
Process* adopter_of(Process& dying) {
    for (Process* ancestor = dying.parent; ancestor; ancestor = ancestor->parent) {
        if (ancestor->child_subreaper && !ancestor->zombie && !ancestor->exiting) return ancestor;
    }
    PidNumber* first = tree().pids.find(1);
    Process* process = first ? first->process : nullptr;
    return process == &dying ? nullptr : process;
}

// SIGHUP and SIGCONT to a group that becomes orphaned while it has stopped members (_exit(2), setpgid(2)). `parent` is
// the one that `member` loses: only if it tied the group to its session does anything change. All others are not looked
// at, so that thousands of processes of one group end without looking at each other.
void check_orphaned_group_locked(Process& member, const Process* parent, const Process* except) {
    if (!member.group_id || !parent) return;
    if (parent->process_group == member.process_group || parent->session != member.session) return;
    if (!group_is_orphaned_locked(*member.group_id, except)) return;
    bool stopped = false;
    for (Process& other : member.group_id->group) {
        if (&other == except) continue;
        core::SpinGuard guard(other.signal_lock);
        stopped |= other.stop_complete;
    }
    if (!stopped) return;
    for (Process& other : member.group_id->group) {
        if (&other == except) continue;
        send_signal(other, simple_signal(kSigHup));
        send_signal(other, simple_signal(kSigCont));
    }
}

// A dead process that its parent does not want to wait for goes at once.
bool parent_ignores_locked(Process& parent) {
    core::SpinGuard guard(parent.signal_lock);
    const SignalAction& action = parent.actions[kSigChld];
    return action.handler == kSigIgn || (action.flags & kSaNoCldWait);
}

// SIGCHLD (or clone's signal) and the wake-up. True if the process is to be reaped at once.
bool notify_parent_of_exit_locked(Process& process, uint32_t uid) {
    Process* parent = process.parent;
    if (!parent) return true;
    int signal = process.exit_signal;
    bool unwanted = signal == kSigChld && parent_ignores_locked(*parent);
    bool silent = false;
    if (unwanted) {
        core::SpinGuard guard(parent->signal_lock);
        silent = parent->actions[kSigChld].handler == kSigIgn;
    }
    if (signal != 0 && !silent) {
        int killed_by = process.exit_status & 0x7f;
        SignalInfo info = simple_signal(signal, killed_by ? kCldKilled : kCldExited);
        Usage usage = usage_of(process);
        info.child = {process.pid, uid, killed_by ? killed_by : process.exit_status >> 8, 0,
                      static_cast<int64_t>(usage.user_ns / kNanosecondsPerTick),
                      static_cast<int64_t>(usage.system_ns / kNanosecondsPerTick)};
        send_signal(*parent, info);
    }
    parent->child_exited.wake_all();
    return unwanted;
}

// Children of the dying thread hear of it; those of a dying process get a new parent. Tree lock held. Those that
// nobody waits for go into `reaped` (at most `capacity`; called again until it returns false).
bool release_children_locked(Thread& thread, bool process_dies, Reaped* reaped, size_t capacity, size_t& count) {
    Process& process = *thread.process;
    Process* adopter = process_dies && !process.children.empty() ? adopter_of(process) : nullptr;
    Pid heir = 0;
    if (!process_dies) {
        core::SpinGuard guard(process.signal_lock);
        for (Thread& other : process.threads) {
            if (&other != &thread) { heir = other.tid; break; }
        }
    }
    for (auto it = process.children.begin(); it != process.children.end();) {
        Process& child = *it++;
        if (count == capacity) return true;
        if (child.parent_thread == thread.tid || process_dies) {
            int signal = 0;
            if (!child.zombie && child.parent_thread == thread.tid) {
                core::SpinGuard guard(child.signal_lock);
                if (!child.threads.empty()) signal = child.threads.front().parent_death_signal;
            }
            child.parent_thread = heir;
            if (signal) send_signal(child, simple_signal(signal, kSiUser));
        }
        if (!process_dies) continue;
        child.sibling_hook.unlink();
        child.parent = adopter;
        if (!adopter) continue;
        adopter->children.push_back(child);
        child.parent_thread = adopter->pid;
        child.exit_signal = kSigChld;
        if (child.zombie) {
            if (notify_parent_of_exit_locked(child, child.exit_uid)) reaped[count++] = reap_locked(child);
        } else {
            check_orphaned_group_locked(child, &process, &process);
        }
    }
    return false;
}

void release_children(Thread& thread, bool process_dies) {
    constexpr size_t kBatch = 8;
    for (bool more = true; more;) {
        Reaped reaped[kBatch];
        size_t count = 0;
        {
            core::SpinGuard guard(tree().lock);
            more = release_children_locked(thread, process_dies, reaped, kBatch, count);
        }
        for (size_t i = 0; i < count; i++) reaped[i].finish();
    }
}

// The process becomes a zombie, or goes at once. Tree lock held.
Reaped become_zombie_locked(Process& process, int wait_status, uint32_t uid) {
    process.exit_status = wait_status;
    process.exit_uid = uid;
    std::memcpy(process.name, current_thread().name, sizeof(process.name));
    process.zombie = true;
    check_orphaned_group_locked(process, process.parent, &process);
    if (notify_parent_of_exit_locked(process, uid)) return reap_locked(process);
    return {};
}

// Who joins the thread waits for this word: if memory lacks for its page, it is tried again, as in a fault of a program.
void clear_child_tid(Thread& thread) {
    constexpr unsigned kTries = 4;  // a protection key may forbid it
    for (unsigned failed = 0; failed < kTries && !arch::copy_out(thread.clear_child_tid, uint32_t{0});) {
        auto resolved = thread.address_space->fault(thread.clear_child_tid.address(), mm::AccessKind::kWrite);
        if (resolved) failed++;
        else if (resolved.error() == mm::FaultError::kOutOfMemory && !thread.must_exit) wait_for_memory();
        else return;
    }
}

}  // namespace

void set_first_process_ended(void (*hook)(int wait_status)) { first_process_ended = hook; }

void leave_user_memory(Thread& thread) {
    exit_robust_list(thread);
    if (thread.clear_child_tid.is_null()) return;
    // Only if somebody can see it (kernel/fork.c, mm_release()).
    if (thread.address_space->reference_count() > 1) {
        clear_child_tid(thread);
        (void)futex_wake(thread.clear_child_tid.address(), mm::Sharing::kShared, 1);
    }
    thread.clear_child_tid = {};
}

void exit_thread(int wait_status) {
    Thread& thread = current_thread();
    Process& process = *thread.process;
    leave_user_memory(thread);

    // From here on no signal finds this thread.
    bool last, stop_completed = false;
    PendingSignals::EntryList dropped;
    {
        core::SpinGuard guard(process.signal_lock);
        process.threads.erase(process.threads.iterator_to(thread));
        process.thread_count--;
        last = process.threads.empty();
        thread.must_exit = true;
        process.dead_threads_usage.add(usage_of(thread));
        for (unsigned model = 0; model < arch::kModelCount; model++) {
            process.past_entries.of[model] += thread.entries[model] + arch::processor().entries[model];
        }
        if (last && process.exiting) wait_status = process.group_exit_status;
        if (last && !process.exiting) process.exiting = true;
        retarget_locked(process, thread, ~thread.blocked);
        thread.pending.drop({~0ull}, dropped);
        if (!last && process.stop_signal && !process.stop_complete &&
            process.stopped_threads == process.thread_count) {
            process.stop_complete = process.stop_unreported = stop_completed = true;
        }
    }
    free_entries(dropped);
    if (last) {
        const uint64_t(&entries)[3] = process.past_entries.of;
        klog::info("pid {} ({}) entered the kernel {} times from ring 3, {} isolated, {} without isolation", process.pid,
                   thread.name, entries[0], entries[1], entries[2]);
    }
    if (stop_completed) notify_parent_of_stop(process, kCldStopped);
    uint32_t uid = thread.credentials->uid;
    if (last && process.timers) process.timers->stop_all();
    release_resources(thread, last);
    if (last && process.pid == 1 && first_process_ended) first_process_ended(wait_status);
    if (last && process.session == process.pid) fs::session_leader_exits(process.pid);
    release_children(thread, last);

    Reaped reaped;
    PidNumber* number = nullptr;
    {
        core::SpinGuard guard(tree().lock);
        // After another thread's exec this number already belongs to that one.
        if (thread.id->thread == &thread) thread.id->thread = nullptr;
        number = release_number_locked(*thread.id);
        thread.id = nullptr;
        tree().threads--;
        if (last) reaped = become_zombie_locked(process, wait_status, uid);
    }
    free_number(number);
    if (last) process.exited.wake_all();
    process.threads_left.wake_all();
    reaped.finish();
    sched::exit_current();
}

void exit_group(int wait_status) {
    Thread& thread = current_thread();
    {
        core::SpinGuard guard(thread.process->signal_lock);
        begin_group_exit_locked(*thread.process, wait_status);
    }
    exit_thread(wait_status);
}

Result<void> leave_only_current(Thread& thread) {
    Process& process = *thread.process;
    core::SpinGuard guard(process.signal_lock);
    if (process.exiting || process.executing) return fail(Errno::kAgain);
    process.executing = &thread;
    for (Thread& other : process.threads) {
        if (&other == &thread) continue;
        other.must_exit = true;
        other.stopped = false;
        sched::interrupt(other);
        sched::wake(other);
    }
    // Killable, not interruptible: only an end of the whole process takes the exec back.
    while (process.thread_count > 1 && !process.exiting) {
        process.threads_left.wait(guard, process.signal_lock, core::kNever, sched::Interruptible::kNo);
    }
    process.executing = nullptr;
    if (process.exiting) return fail(Errno::kAgain);
    process.stopped_threads = 0;
    guard.unlock();
    if (thread.tid == process.pid) return {};

    // A thread that is not the leader becomes it (execve(2), "all other threads are destroyed").
    PidNumber* old;
    {
        core::SpinGuard tree_guard(tree().lock);
        thread.id->thread = nullptr;
        old = release_number_locked(*thread.id);
        tree().pids.hold(*process.id);
        thread.id = process.id;
        process.id->thread = &thread;
        thread.tid = process.pid;
    }
    free_number(old);
    return {};
}

}  // namespace process
