// Processes (thread groups) and their threads.
#pragma once

#include <atomic>
#include <cstdint>

#include "arch/x86_64/trap_frame.h"
#include "core/intrusive.h"
#include "core/lock.h"
#include "core/memory.h"
#include "core/string.h"
#include "core/types.h"
#include "core/vector.h"
#include "fs/fd_table.h"
#include "fs/path.h"
#include "mm/address_space.h"
#include "process/signal.h"
#include "sched/thread.h"
#include "sched/wait_queue.h"

namespace process {

using Pid = int;

// Immutable once shared: setuid and friends install a changed copy (credentials(7)).
struct Credentials : core::RefCounted {
    uint32_t uid = 0, euid = 0, suid = 0, fsuid = 0;
    uint32_t gid = 0, egid = 0, sgid = 0, fsgid = 0;
    core::Vector<uint32_t> groups;
    uint64_t capabilities_effective = ~0ull, capabilities_permitted = ~0ull, capabilities_inheritable = 0;
    Result<Ref<Credentials>> clone() const;
    fs::Identity identity() const { return {fsuid, fsgid, groups.data(), groups.size()}; }
};

struct ResourceLimit { uint64_t soft, hard; };
inline constexpr unsigned kResourceLimitCount = 16;  // RLIM_NLIMITS
inline constexpr unsigned kLimitStack = 3, kLimitNoFile = 7, kLimitAddressSpace = 9, kLimitFileSize = 1;

class Process;

// One thread of a program (a task in Linux's words); its tid is in the pid number space.
class Thread final : public sched::Thread {
  public:
    Pid tid = 0;
    Process* process = nullptr;
    core::ListHook process_hook;          // Process::threads
    SignalSet blocked;                    // own thread writes; read by senders under Process::signal_lock
    SignalSet saved_mask;                 // sigsuspend, ppoll, pselect, epoll_pwait
    bool restore_saved_mask = false;
    PendingSignals pending;               // thread-directed
    SignalStack alternate_stack;
    UserOut<uint32_t> clear_child_tid;    // set_tid_address(2): zeroed and futex-woken at exit
    uint64_t robust_list = 0;             // set_robust_list(2)
    Ref<fs::FdTable> files;               // CLONE_FILES shares
    Ref<fs::FsContext> fs_context;        // CLONE_FS shares
    Ref<Credentials> credentials;
    arch::TrapFrame* frame = nullptr;     // the registers with which it last entered the kernel

    ~Thread() override;
};

class Process final : public core::RefCounted {
  public:
    Pid pid = 0;
    // Guarded by the process tree's lock (Rank::kProcessTree).
    Process* parent = nullptr;
    core::ListHook sibling_hook;
    core::List<Process, &Process::sibling_hook> children;
    Pid process_group = 0, session = 0;

    // Guarded by signal_lock.
    core::Spinlock signal_lock{core::Rank::kSignal};
    SignalActions actions;
    PendingSignals pending;
    core::List<Thread, &Thread::process_hook> threads;

    Ref<mm::AddressSpace> address_space;
    core::String executable_path;         // /proc/<pid>/exe
    core::String command_line;            // NUL-separated
    ResourceLimit limits[kResourceLimitCount];
    sched::WaitQueue child_exited;        // wait4(2) sleeps here
    // process/'s owner adds what else it needs: exit status, timers, rusage, vfork completion, tty.

    ~Process() override;
};

// The running program thread. Only in system calls and faults of programs.
Thread& current_thread();
inline Process& current_process() { return *current_thread().process; }

// Look-up by number; null if there is none (zombies included).
Ref<Process> find_process(Pid pid);
Ref<Thread> find_thread(Pid tid);
// Visits all processes in ascending pid order, a reference held during the visit, no lock held.
void for_each_process(void (*visit)(void* context, Process& process), void* context);

}  // namespace process
