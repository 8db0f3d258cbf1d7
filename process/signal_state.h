// Signals inside process/: what sending, delivery, job control and exit share.
#pragma once

#include "process/process.h"
#include "process/signal.h"

namespace process {

enum class DefaultAction : uint8_t { kTerminate, kIgnore, kStop, kContinue };
constexpr DefaultAction default_action(int signal) {
    switch (signal) {
        case kSigChld: case kSigUrg: case kSigWinch: return DefaultAction::kIgnore;
        case kSigCont: return DefaultAction::kContinue;
        case kSigStop: case kSigTstp: case kSigTtin: case kSigTtou: return DefaultAction::kStop;
        default: return DefaultAction::kTerminate;
    }
}

// si_code of SIGCHLD (sigaction(2)).
inline constexpr int kCldExited = 1, kCldKilled = 2, kCldStopped = 5, kCldContinued = 6;

// Signal lock held: true if `signal` would do nothing for a process with these actions.
bool ignored_locked(const Process& process, int signal);
// Signal lock held: something waits for this thread that return_to_user() must handle.
bool has_work_locked(const Thread& thread);
// Signal lock held: all threads leave with this wait status; no effect if they already do.
void begin_group_exit_locked(Process& process, int wait_status);
// Signal lock held: ends a stop; stopped threads run again. `by_signal`: SIGCONT, of which the parent is told.
void continue_locked(Process& process, bool by_signal);
// Signal lock held: all threads stop at their next chance.
void begin_stop_locked(Process& process, int signal);
// Signal lock held: signals of the process that `thread` will not take any more are offered to its siblings.
void retarget_locked(Process& process, Thread& thread, SignalSet which);
// Signal lock held: forgets pending signals in `which`, everywhere in the process.
void drop_pending_locked(Process& process, SignalSet which, PendingSignals::EntryList& dropped);

// Takes the next signal of the calling thread in `wanted`, its own before those of its process (sigtimedwait(2),
// signalfd(2), delivery).
bool take_signal(Thread& thread, SignalSet wanted, SignalInfo& info);

// Tells the parent that `process` stopped or continued: SIGCHLD (unless SA_NOCLDSTOP) and a wake-up. No lock held.
void notify_parent_of_stop(Process& process, int code);
// The running thread stops until SIGCONT or its end. Signal lock held through `guard`, also on return.
void stop_here(Thread& thread, core::SpinGuard& guard);

// No member of the group has a parent in another group of the same session. Tree lock held. `except` does not count
// (it is leaving).
bool group_is_orphaned_locked(PidNumber& group, const Process* except = nullptr);

}  // namespace process
