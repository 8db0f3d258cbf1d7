#include "process/process_host.h"

#include <cstring>

#include "fs/process_host.h"
#include "process/signal_state.h"
#include "process/tree.h"

namespace process {

namespace {

class Host final : public fs::ProcessHost {
  public:
    fs::Caller caller() override {
        Thread* thread = current_thread_or_null();
        if (!thread) return {};
        Process& process = *thread->process;
        return {process.pid,   thread->tid, process.process_group, process.session, thread->credentials->fsuid,
                thread->credentials->fsgid};
    }
    void signal_caller(int signal) override {
        Thread& thread = current_thread();
        SignalInfo info = simple_signal(signal, kSiUser);
        info.sender = {thread.process->pid, thread.credentials->uid, 0};
        send_signal(thread, info);
    }
    bool caller_ignores(int signal) override {
        Thread& thread = current_thread();
        core::SpinGuard guard(thread.process->signal_lock);
        return thread.blocked.has(signal) || thread.process->actions[signal].handler == kSigIgn;
    }
    void signal_process(int pid, int signal) override {
        if (Ref<Process> process = find_process(pid)) send_signal(*process, simple_signal(signal));
    }
    void signal_group(int process_group, int signal) override {
        (void)send_to_group(process_group, simple_signal(signal));
    }
    int session_of_group(int process_group) override {
        core::SpinGuard guard(tree().lock);
        PidNumber* group = tree().pids.find(process_group);
        return group && !group->group.empty() ? group->group.front().session.load() : 0;
    }
    bool group_is_orphaned(int process_group) override {
        core::SpinGuard guard(tree().lock);
        PidNumber* group = tree().pids.find(process_group);
        return !group || group_is_orphaned_locked(*group);
    }
    uint64_t pending_signals() override {
        Thread* thread = current_thread_or_null();
        if (!thread) return 0;
        core::SpinGuard guard(thread->process->signal_lock);
        return (thread->pending.set() | thread->process->pending.set()).bits;
    }
    bool take_signal(uint64_t set, void* info) override {
        SignalInfo taken;
        if (!process::take_signal(current_thread(), {set}, taken)) return false;
        static_assert(sizeof taken == 48);
        std::memcpy(info, &taken, sizeof taken);
        return true;
    }
    bool signal_pending() override { return process::signal_pending(); }
};

Host host;

}  // namespace

void register_process_host() { fs::set_process_host(host); }

}  // namespace process
