#include "process/proc_view.h"

#include <cstring>

#include "fs/proc/process_view.h"
#include "process/host_name.h"
#include "process/isolation.h"
#include "process/signal_state.h"
#include "process/tree.h"
#include "process/usage.h"

namespace process {

namespace {

// A thread number, or a process whose first thread has left (a zombie, or a leader that ended early).
struct Task {
    Ref<Process> process;
    Ref<Thread> thread;
};

Result<Task> find_task(int tid) {
    Task task;
    task.thread = find_thread(tid);
    if (task.thread) task.process = Ref<Process>(task.thread->process);
    else task.process = find_process(tid);
    if (!task.process) return fail(Errno::kSrch);
    return task;
}

char state_of(const Process& process, const Thread* thread) {
    if (process.zombie || !thread) return 'Z';
    if (thread->stopped) return 'T';
    switch (thread->state.load()) {
        case sched::ThreadState::kSleeping: return thread->interruptible_sleep.load() ? 'S' : 'D';
        case sched::ThreadState::kDead: return 'X';
        default: return 'R';
    }
}

void fill_credentials(fs::proc::TaskStatus& status, const Credentials& credentials) {
    status.uid = credentials.uid; status.euid = credentials.euid;
    status.suid = credentials.suid; status.fsuid = credentials.fsuid;
    status.gid = credentials.gid; status.egid = credentials.egid;
    status.sgid = credentials.sgid; status.fsgid = credentials.fsgid;
    status.capabilities_effective = credentials.capabilities_effective;
    status.capabilities_permitted = credentials.capabilities_permitted;
    status.capabilities_inheritable = credentials.capabilities_inheritable;
}

void fill_signals_locked(fs::proc::TaskStatus& status, const Process& process, const Thread* thread) {
    status.shared_pending = process.pending.set().bits;
    if (thread) {
        status.pending = thread->pending.set().bits;
        status.blocked = thread->blocked.bits;
    }
    for (int signal = 1; signal <= kSigMax; signal++) {
        uint64_t handler = process.actions[signal].handler;
        if (handler == kSigIgn) status.ignored |= SignalSet::of(signal).bits;
        else if (handler != kSigDfl) status.caught |= SignalSet::of(signal).bits;
    }
}

void fill_thread(fs::proc::TaskStatus& status, const Thread& thread) {
    status.no_new_privileges = thread.no_new_privileges;
    status.processor = thread.cpu;
    status.affinity = thread.affinity;
    status.nice = thread.nice;
    status.policy = thread.policy;
    status.real_time_priority = thread.real_time_priority;
    status.voluntary_switches = thread.voluntary_switches;
    status.involuntary_switches = thread.involuntary_switches;
}

void fill_layout(fs::proc::TaskStatus& status, const ProgramLayout& layout) {
    status.start_code = layout.start_code; status.end_code = layout.end_code;
    status.start_data = layout.start_data; status.end_data = layout.end_data;
    status.start_stack = layout.start_stack; status.start_break = layout.start_break;
    status.argument_start = layout.argument_start; status.argument_end = layout.argument_end;
    status.environment_start = layout.environment_start; status.environment_end = layout.environment_end;
}

class View final : public fs::proc::ProcessView {
  public:
    int current_pid() override {
        Thread* thread = current_thread_or_null();
        return thread ? thread->process->pid : 0;
    }
    int current_tid() override {
        Thread* thread = current_thread_or_null();
        return thread ? thread->tid : 0;
    }
    int next_process(int after) override {
        core::SpinGuard guard(tree().lock);
        PidNumber* number = tree().pids.next(after);
        while (number && !number->process) number = tree().pids.next(number->number);
        return number ? number->number : 0;
    }
    int next_thread(int pid, int after) override {
        Ref<Process> process = find_process(pid);
        if (!process) return 0;
        core::SpinGuard guard(process->signal_lock);
        int best = process->pid > after ? process->pid : 0;
        for (const Thread& thread : process->threads) {
            if (thread.tid > after && (best == 0 || thread.tid < best)) best = thread.tid;
        }
        return best;
    }
    bool exists(int pid) override { return find_task(pid).has_value(); }
    bool is_thread_of(int pid, int tid) override {
        auto task = find_task(tid);
        return task && task->process->pid == pid;
    }

    Ref<core::RefCounted> process(int tid) override {
        auto task = find_task(tid);
        return task ? Ref<core::RefCounted>(std::move(task->process)) : nullptr;
    }

    Result<fs::proc::TaskStatus> status(int tid) override {
        Task task = TRY(find_task(tid));
        Process& process = *task.process;
        fs::proc::TaskStatus status;
        status.pid = process.pid;
        status.tid = tid;
        Usage own = usage_of(process), children;
        Ref<Credentials> credentials;
        Ref<fs::FsContext> fs_context;
        {
            core::SpinGuard guard(tree().lock);
            status.parent = process.parent ? process.parent->pid : 0;
            status.process_group = process.process_group;
            status.session = process.session;
            status.exit_signal = process.exit_signal;
            status.exit_code = process.exit_status;
            children = process.children_usage;
            status.state = state_of(process, task.thread.get());
            core::SpinGuard signals(process.signal_lock);
            status.thread_count = process.thread_count ? process.thread_count : 1;
            fill_signals_locked(status, process, task.thread.get());
            if (process.address_space) fill_layout(status, process.layout);
            status.resident_limit = process.limits[kLimitResident].soft;
            Thread* thread = task.thread.get();
            if (!thread && !process.threads.empty()) thread = &process.threads.front();
            if (thread) {
                credentials = thread->credentials;
                fs_context = thread->fs_context;
                fill_thread(status, *thread);
                std::memcpy(status.name, thread->name, sizeof(status.name));
            } else {
                std::memcpy(status.name, process.name, sizeof(status.name));
                status.uid = status.euid = status.suid = status.fsuid = process.exit_uid;
            }
        }
        if (credentials) {
            fill_credentials(status, *credentials);
            TRY(status.groups.resize(credentials->groups.size()));
            for (size_t i = 0; i < credentials->groups.size(); i++) status.groups[i] = credentials->groups[i];
        }
        if (fs_context) status.umask = fs_context->umask();
        status.start_ns = process.start_ns;
        status.oom_score_adjustment = process.oom_score_adjustment;
        status.peak_resident_pages = process.peak_resident_pages;
        status.peak_mapped_pages = process.peak_mapped_pages;
        status.user_ns = own.user_ns;
        status.system_ns = own.system_ns;
        status.minor_faults = own.minor_faults;
        status.children_user_ns = children.user_ns;
        status.children_system_ns = children.system_ns;
        status.children_minor_faults = children.minor_faults;
        if (Ref<mm::AddressSpace> space = process.space()) {
            status.isolation = model_name(space->model());
            status.isolation_reason = space->isolation_reason();
        }
        EntryCounts entries = entries_of(process);
        status.mpk_entries = entries.of[static_cast<unsigned>(mm::Model::kIsolated)];
        status.ring3_entries = entries.of[static_cast<unsigned>(mm::Model::kConfined)];
        status.none_entries = entries.of[static_cast<unsigned>(mm::Model::kNone)];
        return status;
    }

    Ref<mm::AddressSpace> address_space(int tid) override {
        auto task = find_task(tid);
        return task ? task->process->space() : nullptr;
    }
    Ref<fs::FdTable> files(int tid) override {
        auto task = find_task(tid);
        if (!task) return nullptr;
        core::SpinGuard guard(task->process->signal_lock);
        Thread* thread = thread_of_locked(*task);
        return thread ? thread->files : nullptr;
    }
    Ref<fs::FsContext> fs_context(int tid) override {
        auto task = find_task(tid);
        if (!task) return nullptr;
        core::SpinGuard guard(task->process->signal_lock);
        Thread* thread = thread_of_locked(*task);
        return thread ? thread->fs_context : nullptr;
    }
    Result<core::String> command_line(int tid) override {
        Task task = TRY(find_task(tid));
        ProgramLayout layout = layout_of(*task.process);
        return read_range(*task.process, layout.argument_start, layout.argument_end);
    }
    Result<core::String> environment(int tid) override {
        Task task = TRY(find_task(tid));
        ProgramLayout layout = layout_of(*task.process);
        return read_range(*task.process, layout.environment_start, layout.environment_end);
    }
    Result<core::Vector<uint64_t>> auxiliary_vector(int tid) override {
        Task task = TRY(find_task(tid));
        core::Vector<uint64_t> words;
        TRY(words.reserve(kAuxiliaryWords));
        core::SpinGuard guard(task.process->signal_lock);
        if (!task.process->address_space) return words;
        for (unsigned i = 0; i < task.process->auxiliary_words; i++) {
            (void)words.push_back(task.process->auxiliary_vector[i]);  // room is reserved
        }
        return words;
    }
    Result<core::String> executable(int tid) override {
        Task task = TRY(find_task(tid));
        fs::Path path;
        {
            core::SpinGuard guard(task.process->signal_lock);
            if (!task.process->executable_dentry) return fail(Errno::kNoEnt);
            path = {task.process->executable_mount, task.process->executable_dentry};
        }
        Thread* self = current_thread_or_null();
        if (!self) return fail(Errno::kNoEnt);
        return path.to_string(self->fs_context->root());
    }
    Result<void> limits(int tid, fs::proc::Limit (&limits)[fs::proc::kLimitCount]) override {
        Task task = TRY(find_task(tid));
        core::SpinGuard guard(task.process->signal_lock);
        for (unsigned i = 0; i < fs::proc::kLimitCount; i++) {
            limits[i] = {task.process->limits[i].soft, task.process->limits[i].hard};
        }
        return {};
    }
    Result<void> set_name(int tid, std::string_view name) override {
        Task task = TRY(find_task(tid));
        // Only threads of the same process (proc(5), /proc/pid/comm).
        Thread* self = current_thread_or_null();
        if (!task.thread || !self || self->process != task.process.get()) return fail(Errno::kInval);
        char (&comm)[16] = task.thread->name;
        size_t size = name.size() < sizeof(comm) - 1 ? name.size() : sizeof(comm) - 1;
        std::memcpy(comm, name.data(), size);
        std::memset(comm + size, 0, sizeof(comm) - size);
        return {};
    }
    Result<void> set_oom_score_adjustment(int tid, int value) override {
        Task task = TRY(find_task(tid));
        if (value < -1000 || value > 1000) return fail(Errno::kInval);
        Thread* self = current_thread_or_null();
        if (value < task.process->oom_score_adjustment && self &&
            !self->credentials->has_capability(kCapSysResource)) {
            return fail(Errno::kAcces);
        }
        task.process->oom_score_adjustment = value;
        return {};
    }
    bool may_inspect(int tid) override {
        auto task = find_task(tid);
        Thread* self = current_thread_or_null();
        if (!task || !self) return false;
        if (task->process.get() == self->process) return true;
        const Credentials& mine = *self->credentials;
        if (mine.has_capability(kCapSysPtrace)) return true;
        if (!task->process->dumpable) return false;
        core::SpinGuard guard(task->process->signal_lock);
        Thread* thread = thread_of_locked(*task);
        if (!thread) return false;
        const Credentials& theirs = *thread->credentials;
        return mine.fsuid == theirs.uid && mine.fsuid == theirs.euid && mine.fsuid == theirs.suid &&
               mine.fsgid == theirs.gid && mine.fsgid == theirs.egid && mine.fsgid == theirs.sgid;
    }
    Load load() override {
        Load load{0, tree().threads.load(), 0, tree().forks.load()};
        {
            core::SpinGuard guard(tree().lock);
            load.last_pid = tree().pids.last();
        }
        for_each_process([](void* context, Process& process) {
            auto& runnable = *static_cast<unsigned*>(context);
            core::SpinGuard guard(process.signal_lock);
            for (const Thread& thread : process.threads) {
                runnable += thread.state.load() == sched::ThreadState::kRunnable;
            }
        }, &load.runnable);
        return load;
    }
    Result<core::String> host_name() override {
        char name[kHostNameMax + 1];
        size_t length = process::host_name(name);
        return core::String::create({name, length});
    }
    Result<core::String> domain_name() override {
        char name[kHostNameMax + 1];
        size_t length = process::domain_name(name);
        return core::String::create({name, length});
    }
    Result<void> set_host_name(std::string_view name) override { return process::set_host_name(name); }
    SystemNames system_names() override { return {kSystemName, kSystemRelease, kSystemVersion}; }

  private:
    static Thread* thread_of_locked(Task& task) {
        if (task.thread) return task.thread.get();
        return task.process->threads.empty() ? nullptr : &task.process->threads.front();
    }
    static ProgramLayout layout_of(Process& process) {
        core::SpinGuard guard(process.signal_lock);
        return process.layout;
    }
    static Result<core::String> read_range(Process& process, uint64_t start, uint64_t end) {
        constexpr uint64_t kMost = 128 << 10;
        Ref<mm::AddressSpace> space = process.space();
        if (!space || end <= start) return core::String();
        uint64_t size = end - start < kMost ? end - start : kMost;
        core::Vector<char> bytes;
        TRY(bytes.resize(size));
        TRY(space->read_memory(UserAddr(start), std::as_writable_bytes(std::span(bytes.data(), size))));
        return core::String::create({bytes.data(), size});
    }
};

View view;

}  // namespace

void register_process_view() { fs::proc::set_process_view(view); }

}  // namespace process
