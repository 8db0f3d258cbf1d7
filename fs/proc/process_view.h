// What /proc shows of processes. process/ stands above fs/, so it implements this interface
// (process/proc_view.cpp) and registers it at boot.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/memory.h"
#include "core/string.h"
#include "core/vector.h"
#include "fs/fd_table.h"
#include "fs/path.h"
#include "mm/address_space.h"

namespace fs::proc {

// One thread, or the process of which it is the leader: what stat and status print (proc(5)).
struct TaskStatus {
    int pid = 0;  // thread group
    int tid = 0;
    int parent = 0, process_group = 0, session = 0;
    char state = 'R';  // R running, S sleeping, T stopped, Z zombie
    char name[16] = {};
    unsigned thread_count = 1;
    uint32_t uid = 0, euid = 0, suid = 0, fsuid = 0, gid = 0, egid = 0, sgid = 0, fsgid = 0;
    core::Vector<uint32_t> groups;
    uint64_t capabilities_inheritable = 0, capabilities_permitted = 0, capabilities_effective = 0;
    bool no_new_privileges = false;
    uint16_t umask = 0;
    int exit_signal = 17, exit_code = 0;
    unsigned processor = 0;
    uint64_t affinity = ~0ull;
    int nice = 0, policy = 0, real_time_priority = 0;
    uint64_t minor_faults = 0, major_faults = 0, children_minor_faults = 0, children_major_faults = 0;
    // CPU time; of the whole process for leaders asked with tid == pid through /proc/<pid>.
    Nanoseconds user_ns = 0, system_ns = 0, children_user_ns = 0, children_system_ns = 0;
    Nanoseconds start_ns = 0;  // since boot
    uint64_t pending = 0, shared_pending = 0, blocked = 0, ignored = 0, caught = 0;
    uint64_t voluntary_switches = 0, involuntary_switches = 0;
    uint64_t resident_limit = ~0ull;  // RLIMIT_RSS
    uint64_t peak_resident_pages = 0, peak_mapped_pages = 0;  // before memory was given back: now it may have more
    // mm_struct's landmarks; 0 for zombies.
    uint64_t start_code = 0, end_code = 0, start_stack = 0, start_data = 0, end_data = 0, start_break = 0,
             argument_start = 0, argument_end = 0, environment_start = 0, environment_end = 0;
    int oom_score_adjustment = 0;
    // "mpk", "ring3" or "none", why, and how often programs of the process entered the kernel as each of them.
    std::string_view isolation = "ring3";
    mm::Reason isolation_reason;
    uint64_t mpk_entries = 0, ring3_entries = 0, none_entries = 0;
};

struct Limit { uint64_t soft, hard; };
inline constexpr unsigned kLimitCount = 16;

// Where not said otherwise `pid` may be any thread's number, and ESRCH says that it is gone. Nothing here sleeps.
class ProcessView {
  public:
    virtual int current_pid() = 0;  // 0 in a kernel thread
    virtual int current_tid() = 0;
    // The smallest pid (of processes, not of other threads) > `after`; 0: none.
    virtual int next_process(int after) = 0;
    // The smallest tid > `after` in the process `pid`; 0: none.
    virtual int next_thread(int pid, int after) = 0;
    virtual bool exists(int pid) = 0;
    // True if `tid` is a thread of process `pid`.
    virtual bool is_thread_of(int pid, int tid) = 0;

    // The process itself, to be held: a number may come to mean another one. Null: gone.
    virtual core::Ref<core::RefCounted> process(int tid) = 0;

    virtual Result<TaskStatus> status(int tid) = 0;
    // Null for zombies (the exec'd program is gone).
    virtual core::Ref<mm::AddressSpace> address_space(int tid) = 0;
    virtual core::Ref<FdTable> files(int tid) = 0;
    virtual core::Ref<FsContext> fs_context(int tid) = 0;
    // NUL-separated as in memory; empty for zombies.
    virtual Result<core::String> command_line(int tid) = 0;
    virtual Result<core::String> environment(int tid) = 0;
    // The pairs that exec put on the stack, AT_NULL included.
    virtual Result<core::Vector<uint64_t>> auxiliary_vector(int tid) = 0;
    // Absolute path of the program file; ENOENT for zombies.
    virtual Result<core::String> executable(int tid) = 0;
    virtual Result<void> limits(int tid, Limit (&limits)[kLimitCount]) = 0;
    // Writes to /proc/<pid>/comm and oom_score_adj. EINVAL, EACCES, EPERM as Linux.
    virtual Result<void> set_name(int tid, std::string_view name) = 0;
    virtual Result<void> set_oom_score_adjustment(int tid, int value) = 0;
    // May the caller look into `tid` (same uid or root: environ, fd, maps, mem)?
    virtual bool may_inspect(int tid) = 0;
    // Runnable threads now, all threads, and the last pid given out (/proc/loadavg, /proc/stat).
    struct Load { unsigned runnable, threads; int last_pid; uint64_t forks; };
    virtual Load load() = 0;
    // uname(2) and sethostname(2).
    struct SystemNames { std::string_view type, release, version; };
    virtual SystemNames system_names() = 0;
    virtual Result<core::String> host_name() = 0;
    virtual Result<core::String> domain_name() = 0;
    virtual Result<void> set_host_name(std::string_view name) = 0;

  protected:
    ~ProcessView() = default;
};

void set_process_view(ProcessView& view);
// Null before set_process_view().
ProcessView* process_view();

}  // namespace fs::proc
