#include "process/wait.h"

#include "process/signal_state.h"
#include "process/tree.h"

namespace process {

namespace {

bool fits(const Process& child, const Thread& thread, const WaitRequest& request) {
    if (request.kind == WaitRequest::Kind::kProcess && child.pid != request.id) return false;
    if (request.kind == WaitRequest::Kind::kGroup && child.process_group != request.id) return false;
    if ((request.options & kWaitNoThread) && child.parent_thread != thread.tid) return false;
    // __WCLONE picks children that report with another signal than SIGCHLD, and only those.
    bool is_clone = child.exit_signal != kSigChld;
    return (request.options & kWaitAll) || is_clone == !!(request.options & kWaitClone);
}

// Exit status of a zombie.
WaitResult exit_report(const Process& child) {
    WaitResult result;
    int killed_by = child.exit_status & 0x7f;
    result.status = child.exit_status;
    result.code = killed_by ? kCldKilled : kCldExited;
    result.info_status = killed_by ? killed_by : child.exit_status >> 8;
    result.uid = child.exit_uid;
    return result;
}

// A stop or continuation that was not reported yet. Tree lock held.
bool take_stop_report(Process& child, uint32_t options, WaitResult& result) {
    core::SpinGuard guard(child.signal_lock);
    bool keep = options & kWaitNoWait;
    if (!child.threads.empty()) result.uid = child.threads.front().credentials->uid;
    if ((options & kWaitStopped) && child.stop_unreported && child.stop_signal) {
        result.status = child.stop_signal << 8 | 0x7f;
        result.code = kCldStopped;
        result.info_status = child.stop_signal;
        if (!keep) child.stop_unreported = false;
        return true;
    }
    if ((options & kWaitContinued) && child.continue_unreported) {
        result.status = 0xffff;
        result.code = kCldContinued;
        result.info_status = kSigCont;
        if (!keep) child.continue_unreported = false;
        return true;
    }
    return false;
}

struct Scan {
    bool any_fits = false;
    bool found = false;
    WaitResult result;
    Reaped reaped;
};

void scan_children_locked(Thread& thread, const WaitRequest& request, Scan& scan) {
    Process& parent = *thread.process;
    for (Process& child : parent.children) {
        if (!fits(child, thread, request)) continue;
        scan.any_fits = true;
        if (child.zombie) {
            if (!(request.options & kWaitExited)) continue;
            scan.result = exit_report(child);
        } else if (!take_stop_report(child, request.options, scan.result)) {
            continue;
        }
        scan.found = true;
        scan.result.pid = child.pid;
        scan.result.usage = usage_of(child);
        scan.result.usage.add(child.children_usage);
        if (child.zombie && !(request.options & kWaitNoWait)) {
            parent.children_usage.add(scan.result.usage);
            scan.reaped = reap_locked(child);
        }
        return;
    }
}

}  // namespace

Result<WaitResult> wait_for_child(Thread& thread, const WaitRequest& request) {
    Scan scan;
    {
        core::SpinGuard guard(tree().lock);
        for (;;) {
            scan_children_locked(thread, request, scan);
            if (scan.found) break;
            if (!scan.any_fits) return fail(Errno::kChild);
            if (request.options & kWaitNoHang) return WaitResult{};
            scan.any_fits = false;
            auto woken = thread.process->child_exited.wait(guard, tree().lock, core::kNever,
                                                           sched::Interruptible::kYes);
            if (woken == sched::Wake::kInterrupted) {
                // What arrived together with the signal (SIGCHLD, mostly) is still reported.
                scan_children_locked(thread, request, scan);
                if (scan.found) break;
                return fail(Errno::kRestartSys);
            }
        }
    }
    scan.reaped.finish();
    return scan.result;
}

}  // namespace process
