// What open files need from the processes that use them: process/ stands above fs/, so it implements this
// interface and registers it at boot. Without one (host tests, early boot) a host without processes answers.
#pragma once

#include <cstdint>

#include "core/result.h"
#include "core/types.h"

namespace fs {

// The running program; all 0 in a kernel thread.
struct Caller {
    int pid = 0, tid = 0;
    int process_group = 0, session = 0;
    uint32_t uid = 0, gid = 0;  // the fs ids
};

class ProcessHost {
  public:
    virtual Caller caller() = 0;
    // SIGPIPE to the calling thread (write(2), EPIPE); SIGTTIN and SIGTTOU go to groups.
    virtual void signal_caller(int signal) = 0;
    // True if the calling thread blocks `signal` or its process ignores it (termios(3), job control).
    virtual bool caller_ignores(int signal) = 0;
    // Sent by the kernel (SI_KERNEL). No effect if there is no such process or group.
    virtual void signal_process(int pid, int signal) = 0;
    virtual void signal_group(int process_group, int signal) = 0;
    // The session of the processes in a group, 0 if the group has no members (tcsetpgrp(3)).
    virtual int session_of_group(int process_group) = 0;
    // No member has a parent in another group of the same session (setpgid(2), "orphaned").
    virtual bool group_is_orphaned(int process_group) = 0;
    // signalfd(2): signals pending for the calling thread or its process, as bits (bit n-1 is signal n), and
    // taking the first of those in `set` into `info` (the first 48 bytes of a siginfo_t); false if none is
    // pending.
    virtual uint64_t pending_signals() = 0;
    virtual bool take_signal(uint64_t set, void* info) = 0;
    // An unblocked signal waits for the calling thread.
    virtual bool signal_pending() = 0;

  protected:
    ~ProcessHost() = default;
};

void set_process_host(ProcessHost& host);
ProcessHost& process_host();

// Called by process/ when `signal` became pending for any thread or process, so that signalfds and their pollers
// look again. One load if no signalfd is open. May be called under locks up to Rank::kSignal.
void signal_became_pending(int signal);
// Called by process/ when a session leader exits: hangs up its terminal (SIGHUP and SIGCONT to the foreground
// group, no controlling terminal any more). No lock may be held.
void session_leader_exits(int session);

}  // namespace fs
