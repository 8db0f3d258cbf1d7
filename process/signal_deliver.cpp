// The way from the kernel back to a program: preemption, restarts, stops, handlers, death.
#include <cstring>

#include "arch/x86_64/user_copy.h"
#include "core/log.h"
#include "mpk/exposed_slot.h"
#include "process/exit.h"
#include "process/fault.h"
#include "process/ring.h"
#include "process/signal_frame.h"
#include "process/signal_state.h"
#include "process/tree.h"

namespace process {

namespace {

constexpr uint64_t kSyscallLength = 2;  // `syscall` is 0f 05
constexpr uint64_t kRestartSyscallNumber = 219;

bool is_restart_code(uint64_t rax) {
    auto error = static_cast<Errno>(-static_cast<int64_t>(rax));
    return error == Errno::kRestartSys || error == Errno::kRestartNoIntr || error == Errno::kRestartNoHandler ||
           error == Errno::kRestartBlock;
}

// The program executes its `syscall` again; or calls the gate again, with the return address that is still where the call
// has left it.
void restart_call(const Thread& thread, arch::TrapFrame& frame, uint64_t number) {
    frame.rax = number;
    if (thread.by_call_gate) {
        frame.rsp -= sizeof(uint64_t);
        frame.rip = mpk::call_gate(thread.model);
    } else {
        frame.rip -= kSyscallLength;
    }
}

// No handler runs: every interrupted call goes on.
void restart_without_handler(Thread& thread, arch::TrapFrame& frame) {
    if (thread.in_system_call && is_restart_code(frame.rax)) {
        bool block = static_cast<Errno>(-static_cast<int64_t>(frame.rax)) == Errno::kRestartBlock;
        restart_call(thread, frame, block ? kRestartSyscallNumber : frame.error_or_syscall);
    }
    thread.in_system_call = false;
}

void restart_before_handler(Thread& thread, arch::TrapFrame& frame, const SignalAction& action) {
    if (thread.in_system_call && is_restart_code(frame.rax)) {
        auto error = static_cast<Errno>(-static_cast<int64_t>(frame.rax));
        bool restart = error == Errno::kRestartNoIntr ||
                       (error == Errno::kRestartSys && (action.flags & kSaRestart));
        if (restart) restart_call(thread, frame, frame.error_or_syscall);
        else frame.rax = static_cast<uint64_t>(-static_cast<int64_t>(Errno::kIntr));
    }
    thread.in_system_call = false;
}

// The one line about a fault that ends a program.
void log_fatal_fault(const Thread& thread, const arch::TrapFrame& frame, const SignalInfo& info) {
    klog::warn("pid {} ({}) ended by signal {}: code {}, address 0x{:x}, instruction 0x{:x}, stack 0x{:x}, error {:x}",
               thread.process->pid, thread.name, info.signal, info.code, info.fault.address, frame.rip, frame.rsp,
               thread.last_fault.error);
}

// Filled by next_delivery(), and left alone until then: most returns deliver nothing.
struct Delivery {
    Delivery() {}
    union { SignalInfo info; };
    union { SignalAction action; };
};

// Looks at everything that waits for the running thread. True: a handler is to run. Does not return if it ends.
bool next_delivery(Thread& thread, arch::TrapFrame& frame, Delivery& delivery) {
    Process& process = *thread.process;
    core::SpinGuard guard(process.signal_lock);
    for (;;) {
        if (thread.must_exit) {
            guard.unlock();
            exit_thread(0);
        }
        if (process.notify_continued || process.notify_stopped) {
            int code = process.notify_continued ? kCldContinued : kCldStopped;
            process.notify_continued = process.notify_stopped = false;
            guard.unlock();
            notify_parent_of_stop(process, code);
            guard.relock(process.signal_lock);
            continue;
        }
        if (process.stop_signal != 0) {
            stop_here(thread, guard);
            continue;
        }
        QueuedSignal* entry = nullptr;
        SignalSet deliverable = ~thread.blocked;
        if (!thread.pending.take(deliverable, delivery.info, entry) &&
            !process.pending.take(deliverable, delivery.info, entry)) {
            // Senders set the flag under the lock, so none is lost.
            thread.interrupt_pending.store(false);
            return false;
        }
        if (entry && !entry->taken && !process.spare_signal) process.spare_signal.reset(entry);
        else free_entry(entry);
        int signal = delivery.info.signal;
        const SignalAction& action = process.actions[signal];
        if (action.handler == kSigIgn) continue;
        if (action.handler != kSigDfl) {
            delivery.action = action;
            thread.forced_signal = 0;
            if (action.flags & kSaResetHand) process.actions.set_handler(signal, kSigDfl);
            return true;
        }
        switch (default_action(signal)) {
            case DefaultAction::kIgnore:
            case DefaultAction::kContinue:
                continue;
            case DefaultAction::kStop: {
                process.stop_dequeued = true;
                if (signal != kSigStop) {
                    // Nobody could continue an orphaned group: the terminal's stop signals do nothing there.
                    guard.unlock();
                    bool orphaned;
                    {
                        core::SpinGuard tree_guard(tree().lock);
                        orphaned = !process.group_id || group_is_orphaned_locked(*process.group_id);
                    }
                    guard.relock(process.signal_lock);
                    if (orphaned) continue;
                }
                // SIGCONT or death came meanwhile.
                if (!process.stop_dequeued || process.exiting) continue;
                begin_stop_locked(process, signal);
                continue;
            }
            case DefaultAction::kTerminate:
                begin_group_exit_locked(process, signal);
                guard.unlock();
                if (signal == thread.forced_signal) log_fatal_fault(thread, frame, delivery.info);
                exit_thread(0);
        }
    }
}

void run_handler(Thread& thread, arch::TrapFrame& frame, const Delivery& delivery) {
    const SignalAction& action = delivery.action;
    restart_before_handler(thread, frame, action);
    SignalSet old_mask = thread.restore_saved_mask ? thread.saved_mask : thread.blocked;
    auto built = build_signal_frame(thread, frame, action, delivery.info, old_mask);
    if (!built) {
        klog::info("pid {} ({}): no room for the frame of signal {} at stack 0x{:x}", thread.process->pid, thread.name,
                   delivery.info.signal, frame.rsp);
        if (delivery.info.signal == kSigSegv) {
            core::SpinGuard guard(thread.process->signal_lock);
            thread.process->actions.set_handler(kSigSegv, kSigDfl);
        }
        force_signal(thread, simple_signal(kSigSegv));
        return;
    }
    thread.restore_saved_mask = false;
    SignalSet blocked = thread.blocked | action.mask;
    if (!(action.flags & kSaNoDefer)) blocked.add(delivery.info.signal);
    set_blocked(thread, blocked);
}

void handle_work(Thread& thread, arch::TrapFrame& frame) {
    if (!thread.set_child_tid.is_null()) {
        (void)arch::copy_out(thread.set_child_tid, static_cast<uint32_t>(thread.tid));
        thread.set_child_tid = {};
    }
    Delivery delivery;
    if (next_delivery(thread, frame, delivery)) {
        run_handler(thread, frame, delivery);
        return;
    }
    restart_without_handler(thread, frame);
    if (thread.restore_saved_mask) {
        thread.restore_saved_mask = false;
        set_blocked(thread, thread.saved_mask);
    }
}

}  // namespace

void return_to_user(Thread& thread, arch::TrapFrame& frame) {
    for (;;) {
        thread.exit_work.store(0);
        if (sched::need_resched()) [[unlikely]] sched::reschedule();
        bool restart = thread.in_system_call && is_restart_code(frame.rax);
        if (thread.interrupt_pending.load() || restart || thread.restore_saved_mask) [[unlikely]] {
            handle_work(thread, frame);
        } else if (thread.exit_work.load() == 0) {
            break;
        }
    }
    thread.in_system_call = false;
    // Last: whoever confines a process takes for granted that no thread spins between this look and the program.
    if (thread.address_space->model() != thread.model) [[unlikely]] change_ring(thread, frame);
}

}  // namespace process
