#include "process/clone.h"

#include <cstring>

#include "arch/x86_64/user_copy.h"
#include "arch/x86_64/user_state.h"
#include "mm/kernel_stacks.h"
#include "process/pidfd.h"
#include "process/signal_state.h"
#include "process/timers.h"
#include "process/tree.h"
#include "sched/timer.h"

namespace process {

namespace {

// RLIMIT_NPROC counts the threads of a real user id; root is exempt (getrlimit(2)).
Result<void> check_process_limit(const Thread& parent) {
    const Credentials& credentials = *parent.credentials;
    uint64_t limit = parent.process->limits[kLimitProcesses].soft;
    if (credentials.uid == 0 || limit == kUnlimited || credentials.has_capability(kCapSysResource) ||
        credentials.has_capability(kCapSysAdmin)) {
        return {};
    }
    struct Count { uint32_t uid; uint64_t threads; } count{credentials.uid, 0};
    for_each_process([](void* context, Process& process) {
        auto& total = *static_cast<Count*>(context);
        core::SpinGuard guard(process.signal_lock);
        if (!process.threads.empty() && process.threads.front().credentials->uid == total.uid) {
            total.threads += process.thread_count;
        }
    }, &count);
    if (count.threads >= limit) return fail(Errno::kAgain);
    return {};
}

// Thread with stack, register state and everything that it inherits.
Result<Ref<Thread>> copy_thread(Thread& parent, const CloneRequest& request) {
    auto thread = TRY(core::make_ref<Thread>());
    thread->kernel_stack = TRY(mm::allocate_kernel_stack());
    thread->user_state = TRY(arch::UserState::clone_current()).release();
    if (request.flags & kCloneSetTls) thread->user_state->fs_base = request.tls;
    std::memcpy(thread->name, parent.name, sizeof(thread->name));
    thread->affinity = parent.affinity;
    thread->nice = parent.nice;
    thread->policy = parent.policy;
    thread->real_time_priority = parent.real_time_priority;
    thread->timer_slack_ns = parent.timer_slack_ns;
    thread->no_new_privileges = parent.no_new_privileges;
    thread->keep_capabilities = parent.keep_capabilities;
    thread->blocked = parent.blocked;
    thread->credentials = parent.credentials;
    // A new stack in the same memory has no alternate one yet (sigaltstack(2)).
    bool shares_only_memory = (request.flags & (kCloneVm | kCloneVfork)) == kCloneVm;
    if (!shares_only_memory) thread->alternate_stack = parent.alternate_stack;
    if (!(request.flags & kCloneThread)) thread->interrupted_keys = parent.interrupted_keys;
    if (request.flags & kCloneChildSetTid) thread->set_child_tid = request.child_tid;
    if (request.flags & kCloneChildClearTid) thread->clear_child_tid = request.child_tid;
    thread->interrupt_pending = true;  // its first return looks at everything once
    return thread;
}

// Memory, files and directories: copied, or shared as the flags say.
Result<void> share_or_copy(Thread& parent, Thread& child, uint64_t flags) {
    child.fs_context = (flags & kCloneFs) ? parent.fs_context : TRY(parent.fs_context->clone());
    child.files = (flags & kCloneFiles) ? parent.files : TRY(parent.files->clone());
    child.address_space = (flags & kCloneVm) ? parent.address_space : TRY(parent.address_space->fork());
    return {};
}

Result<Ref<Process>> copy_process(Thread& parent, Thread& child, const CloneRequest& request) {
    Process& original = *parent.process;
    auto process = TRY(core::make_ref<Process>());
    process->start_ns = sched::monotonic_ns();
    process->address_space = child.address_space;
    process->layout = original.layout;
    std::memcpy(process->auxiliary_vector, original.auxiliary_vector, sizeof(process->auxiliary_vector));
    process->auxiliary_words = original.auxiliary_words;
    process->dumpable = original.dumpable.load();
    process->private_barriers = original.private_barriers.load();
    process->oom_score_adjustment = original.oom_score_adjustment.load();
    process->personality = original.personality.load();
    process->exit_signal = request.exit_signal;
    {
        core::SpinGuard guard(original.signal_lock);
        process->actions = original.actions;
        std::memcpy(process->limits, original.limits, sizeof(process->limits));
        process->executable_dentry = original.executable_dentry;
        process->executable_mount = original.executable_mount;
    }
    if (process->limits[kLimitCpu].soft != kUnlimited) TRY(timers_of(*process));
    if (request.flags & kCloneClearSigHand) process->actions.reset_handlers();
    if (process->executable_dentry) {
        // The parent runs it, so nobody writes it.
        auto executing = process->executable_dentry->inode().begin_execution();
        if (!executing) {
            process->executable_dentry.reset();
            return fail(executing.error());
        }
    }
    return process;
}

// The commit point of a thread: it joins the caller's process.
Result<void> commit_thread(Thread& parent, Thread& child, PidReservation& pid) {
    Process& process = *parent.process;
    core::SpinGuard tree_guard(tree().lock);
    core::SpinGuard guard(process.signal_lock);
    if (process.exiting || process.executing || process.stop_signal || has_work_locked(parent)) {
        return fail(Errno::kRestartNoIntr);
    }
    child.id = pid.commit();
    child.id->thread = &child;
    child.tid = child.id->number;
    child.process = &process;
    process.ref();
    process.threads.push_back(child);
    process.thread_count++;
    return {};
}

// The commit point of a process: it appears in the tree. The table's reference is `process`.
Result<void> commit_process(Thread& parent, Thread& child, Ref<Process>& process, PidReservation& pid,
                            uint64_t flags) {
    Process& original = *parent.process;
    core::SpinGuard tree_guard(tree().lock);
    {
        // A signal to the whole group that came before must not miss the child: take it first, then fork again.
        core::SpinGuard guard(original.signal_lock);
        if (has_work_locked(parent)) return fail(Errno::kRestartNoIntr);
    }
    Process& fresh = *process;
    PidTable& pids = tree().pids;
    child.id = fresh.id = pid.commit();
    pids.hold(*fresh.id);
    fresh.id->thread = &child;
    fresh.id->process = process.release();
    fresh.pid = child.tid = fresh.id->number;
    bool sibling = flags & kCloneParent;
    fresh.parent = sibling && original.parent ? original.parent : &original;
    fresh.parent_thread = sibling && original.parent ? original.parent_thread : parent.tid;
    if (sibling) fresh.exit_signal = original.exit_signal;
    fresh.parent->children.push_back(fresh);
    set_group_locked(fresh, *original.group_id);
    set_session_locked(fresh, *original.session_id);
    child.process = &fresh;
    fresh.ref();
    fresh.threads.push_back(child);
    fresh.thread_count = 1;
    return {};
}

}  // namespace

void VforkDone::complete() {
    core::SpinGuard guard(lock_);
    done_ = true;
    waiters_.wake_all();
}

void VforkDone::wait(Thread& waiter) {
    core::SpinGuard guard(lock_);
    // Only an end of the waiter itself interrupts this (vfork(2)).
    while (!done_ && !waiter.must_exit) {
        waiters_.wait(guard, lock_, core::kNever, sched::Interruptible::kNo);
    }
}

Result<Pid> clone(Thread& parent, const arch::TrapFrame& frame, const CloneRequest& request) {
    TRY(validate_clone(request));
    if (signal_pending()) return fail(Errno::kRestartNoIntr);
    TRY(check_process_limit(parent));

    PidReservation pid = TRY(PidReservation::create());
    Ref<Thread> child = TRY(copy_thread(parent, request));
    TRY(share_or_copy(parent, *child, request.flags));
    bool is_thread = request.flags & kCloneThread;
    Ref<Process> process;
    if (!is_thread) process = TRY(copy_process(parent, *child, request));
    // Until the commit the copy counts as running its executable.
    core::Defer not_executing([&] {
        if (process && process->executable_dentry) process->executable_dentry->inode().end_execution();
    });
    Ref<VforkDone> vfork_done;
    if (request.flags & kCloneVfork) vfork_done = child->vfork_done = TRY(core::make_ref<VforkDone>());
    PidFdReservation pidfd;
    if (request.flags & kClonePidFd) {
        pidfd = TRY(PidFdReservation::create(parent, process));
        TRY(arch::copy_out(request.pidfd, pidfd.number()));
    }

    arch::TrapFrame registers = frame;
    registers.rax = 0;
    registers.error_or_syscall = ~uint64_t{0};
    if (request.stack_pointer) registers.rsp = request.stack_pointer;
    child->frame = arch::prepare_thread(*child, registers);

    ProcessTimers* process_timers = process ? process->timers.get() : nullptr;
    if (is_thread) TRY(commit_thread(parent, *child, pid));
    else TRY(commit_process(parent, *child, process, pid, request.flags));

    not_executing.cancel();
    pidfd.commit();
    tree().threads++;
    tree().forks++;
    if (process_timers) process_timers->cpu_limit.update();
    Pid tid = child->tid;
    if (request.flags & kCloneParentSetTid) (void)arch::copy_out(request.parent_tid, static_cast<uint32_t>(tid));
    sched::start(*child);
    child.reset();
    if (vfork_done) vfork_done->wait(parent);
    return tid;
}

}  // namespace process
