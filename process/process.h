// Processes (thread groups) and their threads.
//
// Locks, outermost first: the tree lock (process/tree.h, Rank::kProcessTree) guards pids, parents, children, process
// groups, sessions and exit states of all processes; Process::signal_lock (Rank::kSignal) guards one process's
// signals, stop state, list of threads, and what others look at (credentials, files, address space of its threads).
// The running thread reads its own credentials, files, fs_context and address_space without a lock, because only
// itself replaces them.
//
// Life: a Process is created by clone or at boot, dies when its last thread leaves (a zombie until reaped), and its
// memory goes with the last Ref. Its number in the pid table holds one reference until it is reaped; each Thread
// holds one too.
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
#include "process/interrupted_keys.h"
#include "process/signal.h"
#include "sched/thread.h"
#include "sched/wait_queue.h"

namespace process {

using Pid = int;

struct PidNumber;      // process/pid_table.h
struct ProcessTimers;  // process/timers.h
class VforkDone;       // process/clone.h

// Immutable once shared: setuid and friends install a changed copy (credentials(7)).
struct Credentials final : core::RefCounted {
    uint32_t uid = 0, euid = 0, suid = 0, fsuid = 0;
    uint32_t gid = 0, egid = 0, sgid = 0, fsgid = 0;
    core::Vector<uint32_t> groups;
    uint64_t capabilities_effective = 0, capabilities_permitted = 0, capabilities_inheritable = 0,
             capabilities_bounding = 0, capabilities_ambient = 0;
    uint32_t secure_bits = 0;
    // ENOMEM. The copy has one reference.
    Result<Ref<Credentials>> clone() const;
    fs::Identity identity() const { return {fsuid, fsgid, groups.data(), groups.size()}; }
    bool has_capability(unsigned capability) const { return capabilities_effective >> capability & 1; }
};
// capabilities(7): those that this kernel asks for.
inline constexpr unsigned kCapKill = 5, kCapSetGid = 6, kCapSetUid = 7, kCapSetPCap = 8,
    kCapIpcLock = 14, kCapIpcOwner = 15,
    kCapSysChroot = 18,
    kCapSysPtrace = 19, kCapSysAdmin = 21, kCapSysBoot = 22, kCapSysNice = 23, kCapSysResource = 24,
    kCapSysTime = 25, kCapSyslog = 34, kCapLast = 40;
inline constexpr uint64_t kAllCapabilities = (2ull << kCapLast) - 1;

struct ResourceLimit { uint64_t soft, hard; };
inline constexpr unsigned kResourceLimitCount = 16;  // RLIM_NLIMITS
inline constexpr unsigned kLimitCpu = 0, kLimitFileSize = 1, kLimitData = 2, kLimitStack = 3, kLimitCore = 4,
    kLimitResident = 5, kLimitProcesses = 6, kLimitNoFile = 7, kLimitLocked = 8, kLimitAddressSpace = 9,
    kLimitLocks = 10, kLimitSigPending = 11, kLimitMessageQueue = 12, kLimitNice = 13, kLimitRealTimePriority = 14,
    kLimitRealTimeTime = 15;
inline constexpr uint64_t kUnlimited = ~0ull;

class Process;
class Thread;

// What restart_syscall(2) resumes: set by a call that returns Errno::kRestartBlock.
struct RestartBlock {
    Result<int64_t> (*resume)(Thread& thread, RestartBlock& block) = nullptr;  // null: restart_syscall gives EINTR
    uint64_t arguments[5] = {};
};

// One thread of a program (a task in Linux's words); its tid is in the pid number space.
class Thread final : public sched::Thread {
  public:
    Pid tid = 0;
    Process* process = nullptr;           // referenced
    PidNumber* id = nullptr;              // under the tree lock; null once it has left the table
    core::ListHook process_hook;          // Process::threads

    // Guarded by Process::signal_lock; the thread itself may read `blocked` without it.
    SignalSet blocked;
    SignalSet awaited;                    // rt_sigtimedwait(2): unblocked for its sleep only, taken by it alone
    PendingSignals pending;               // thread-directed
    bool stopped = false;                 // sleeps because of a stop signal
    bool must_exit = false;               // a sibling ended or replaced the program: leave at the next chance

    // The thread's own.
    SignalSet saved_mask;                 // sigsuspend, ppoll, pselect, epoll_pwait
    bool restore_saved_mask = false;
    bool in_system_call = false;          // rax may hold a restart code
    bool by_call_gate = false;            // its last system call was a call of the gate, no `syscall` (mpk/exposed_slot.h)
    bool stepped_into_call = false;       // it called the gate with TF set
    SignalStack alternate_stack;
    InterruptedKeys interrupted_keys;
    RestartBlock restart;
    int forced_signal = 0;                // a fault's: logged if it ends the process
    struct { uint64_t number = 0, error = 0, address = 0; } last_fault;  // for signal frames
    UserOut<uint32_t> set_child_tid;      // CLONE_CHILD_SETTID: written on its first way to the program
    UserOut<uint32_t> clear_child_tid;    // set_tid_address(2): zeroed and futex-woken at exit
    uint64_t robust_list = 0;             // set_robust_list(2)
    int parent_death_signal = 0;          // prctl(PR_SET_PDEATHSIG)
    bool no_new_privileges = false;       // prctl(PR_SET_NO_NEW_PRIVS)
    bool keep_capabilities = false;       // prctl(PR_SET_KEEPCAPS)
    int policy = 0, real_time_priority = 0;  // sched_setscheduler(2): kept and reported, treated as fair share
    uint64_t timer_slack_ns = 50'000;
    uint64_t minor_faults = 0;
    Ref<VforkDone> vfork_done;            // whom exec or exit must tell
    arch::TrapFrame* frame = nullptr;     // the registers with which it last entered the kernel
    // An instruction that it executes on the step page instead of its own (process/code_site.h).
    struct Step {
        bool active = false;
        uint8_t length = 0, size = 0;     // of the instruction in the text; on the page
        uint8_t scratch[2] = {};          // register numbers; above 15: none
        uint64_t site = 0, saved[2] = {};
    } step;

    // Replaced by the thread itself under Process::signal_lock.
    Ref<fs::FdTable> files;               // CLONE_FILES shares
    Ref<fs::FsContext> fs_context;        // CLONE_FS shares
    Ref<Credentials> credentials;

    // A thread without stack, number or process; see process/clone.h. ENOMEM by make_ref.
    Thread();
    ~Thread() override;
};

// Landmarks of the program image for /proc/<pid>/stat, cmdline, environ (proc(5)).
struct ProgramLayout {
    uint64_t start_code = 0, end_code = 0, start_data = 0, end_data = 0, start_stack = 0, start_break = 0,
             argument_start = 0, argument_end = 0, environment_start = 0, environment_end = 0;
};
inline constexpr unsigned kAuxiliaryWords = 48;

// CPU time, faults and switches of threads that are gone, or of children that were waited for (getrusage(2)).
struct Usage {
    Nanoseconds user_ns = 0, system_ns = 0;
    uint64_t minor_faults = 0, voluntary_switches = 0, involuntary_switches = 0;
    uint64_t max_resident_kib = 0;
    void add(const Usage& other);
};

// How often programs entered the kernel, by the model they ran as.
struct EntryCounts {
    uint64_t of[arch::kModelCount] = {};  // by mm::Model
};

class Process final : public core::RefCounted {
  public:
    Pid pid = 0;
    Nanoseconds start_ns = 0;

    // Guarded by the tree lock.
    Process* parent = nullptr;            // never null while alive, except for the first process
    Pid parent_thread = 0;                // the thread that made it (PR_SET_PDEATHSIG, __WNOTHREAD)
    core::ListHook sibling_hook, group_hook, session_hook;
    core::List<Process, &Process::sibling_hook> children;
    PidNumber* id = nullptr;
    PidNumber* group_id = nullptr;
    PidNumber* session_id = nullptr;
    std::atomic<Pid> process_group{0}, session{0};
    bool zombie = false;
    bool reaped = false;
    int exit_status = 0;                  // as wait4(2) gives it
    uint32_t exit_uid = 0;
    char name[16] = {};                   // of the last thread, for zombies
    int exit_signal = kSigChld;           // clone's low byte; 0: none
    bool has_executed = false;            // setpgid(2): EACCES for the parent
    bool child_subreaper = false;
    Usage children_usage;

    // Guarded by signal_lock.
    core::Spinlock signal_lock{core::Rank::kSignal};
    SignalActions actions;
    PendingSignals pending;
    std::unique_ptr<QueuedSignal> spare_signal;  // for the next one that is sent
    core::List<Thread, &Thread::process_hook> threads;  // in order of creation; dead ones are unlinked
    unsigned thread_count = 0;
    bool exiting = false;                 // exit_group, a fatal signal: all threads leave
    int group_exit_status = 0;            // valid if exiting
    Thread* executing = nullptr;          // the thread whose exec waits for its siblings to leave
    int stop_signal = 0;                  // != 0: the threads stop or have stopped
    unsigned stopped_threads = 0;
    bool stop_dequeued = false;           // a thread is about to stop all; SIGCONT takes that back
    bool stop_complete = false;           // all threads have stopped
    bool stop_unreported = false;         // WUNTRACED has not seen it
    bool continue_unreported = false;     // WCONTINUED has not seen it
    bool notify_continued = false, notify_stopped = false;  // the parent is told by a woken thread
    Usage dead_threads_usage;
    EntryCounts past_entries;             // of threads that are gone
    Ref<mm::AddressSpace> address_space;
    Ref<fs::Dentry> executable_dentry;    // /proc/<pid>/exe
    Ref<fs::Mount> executable_mount;
    ProgramLayout layout;
    uint64_t auxiliary_vector[kAuxiliaryWords] = {};
    unsigned auxiliary_words = 0;
    ResourceLimit limits[kResourceLimitCount] = {};
    std::unique_ptr<ProcessTimers> timers;  // made by the first timer call

    // Own state without a lock: single words.
    std::atomic<bool> dumpable{true};
    std::atomic<bool> private_barriers{false};  // membarrier(2), MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED
    std::atomic<int> oom_score_adjustment{0};
    std::atomic<uint32_t> personality{0};
    std::atomic<uint64_t> max_resident_kib{0};
    // Of the present program (VmHWM, VmPeak), as noted before memory was given back (process/usage.h).
    std::atomic<uint64_t> peak_resident_pages{0}, peak_mapped_pages{0};
    static constexpr int64_t kUnnotedPages = 32;
    std::atomic<int64_t> unnoted_pages{kUnnotedPages};  // that may still be given back before the next note

    sched::WaitQueue child_exited;        // wait4(2) sleeps here; also woken by stops and continues
    sched::WaitQueue exited;              // pidfd polls; threads_left: exec waits for siblings
    sched::WaitQueue threads_left;

    // Safe from any thread; null for zombies.
    Ref<mm::AddressSpace> space();

    Process();
    ~Process() override;
};

// Up to this moment, those of running threads on other processors included. Lock taken: signal_lock.
EntryCounts entries_of(Process& process);

// The running program thread. Only in system calls and faults of programs.
inline Thread& current_thread() { return static_cast<Thread&>(sched::current()); }
inline Process& current_process() { return *current_thread().process; }
// The running program thread, or null in a kernel thread.
Thread* current_thread_or_null();

// Look-up by number; null if there is none. find_process finds zombies that were not reaped; find_thread only
// threads that have not left.
Ref<Process> find_process(Pid pid);
Ref<Thread> find_thread(Pid tid);
// Visits all processes in ascending pid order, a reference held during the visit, no lock held.
void for_each_process(void (*visit)(void* context, Process& process), void* context);

}  // namespace process
