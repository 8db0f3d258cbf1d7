// Sending signals: kill(2), tkill(2), rt_sigqueueinfo(2), pidfd_send_signal(2).
#include <climits>
#include <cstring>

#include "arch/x86_64/user_copy.h"
#include "libc-compat/families.h"
#include "libc-compat/syscall.h"
#include "process/pidfd.h"
#include "process/signal_info.h"
#include "process/signal_state.h"
#include "process/tree.h"

namespace abi {

namespace {

using namespace process;

Result<void> check_number(int signal) {
    if (signal < 0 || signal > kSigMax) return fail(Errno::kInval);
    return {};
}

SignalInfo info_from(const Context& context, int signal, int code) {
    SignalInfo info = simple_signal(signal, code);
    info.sender = {context.process().pid, context.credentials().uid, 0};
    return info;
}

// kill(2): same process; real or effective user is the target's real or saved one; CAP_KILL; SIGCONT in a session.
Result<void> check_permission(const Context& context, Process& target, int signal) {
    Process& self = context.process();
    if (&target == &self) return {};
    const Credentials& mine = context.credentials();
    if (mine.has_capability(kCapKill)) return {};
    {
        core::SpinGuard guard(target.signal_lock);
        if (target.threads.empty()) {
            if (mine.euid == target.exit_uid || mine.uid == target.exit_uid) return {};
        } else {
            const Credentials& theirs = *target.threads.front().credentials;
            if (mine.euid == theirs.suid || mine.euid == theirs.uid || mine.uid == theirs.suid ||
                mine.uid == theirs.uid) {
                return {};
            }
        }
    }
    if (signal == kSigCont && target.session == self.session) return {};
    return fail(Errno::kPerm);
}

Result<void> send_to_process(const Context& context, Process& target, const SignalInfo& info) {
    TRY(check_permission(context, target, info.signal));
    if (info.signal != 0) send_signal(target, info);
    return {};
}

Result<void> kill_group(const Context& context, Pid group_number, const SignalInfo& info) {
    core::SpinGuard guard(tree().lock);
    PidNumber* group = tree().pids.find(group_number);
    if (!group || group->group.empty()) return fail(Errno::kSrch);
    Result<void> last = fail(Errno::kSrch);
    bool any = false;
    for (Process& member : group->group) {
        last = send_to_process(context, member, info);
        any |= last.has_value();
    }
    if (any) return {};
    return last;
}

// kill(-1): all but the caller and the first process.
Result<void> kill_all(const Context& context, const SignalInfo& info) {
    struct Visit { const Context& context; const SignalInfo& info; bool any; Errno error; };
    Visit visit{context, info, false, Errno{}};
    for_each_process([](void* argument, Process& target) {
        auto& all = *static_cast<Visit*>(argument);
        if (target.pid == 1 || &target == &all.context.process()) return;
        all.any = true;
        auto sent = send_to_process(all.context, target, all.info);
        if (!sent && sent.error() != Errno::kPerm) all.error = sent.error();
    }, &visit);
    if (!visit.any) return fail(Errno::kSrch);
    if (visit.error != Errno{}) return fail(visit.error);
    return {};
}

// The process of a thread number, living leader or not.
Ref<Process> process_of(Pid tid) {
    if (Ref<Process> process = find_process(tid)) return process;
    Ref<Thread> thread = find_thread(tid);
    return thread ? Ref<Process>(thread->process) : nullptr;
}

Result<void> sys_kill(Context& context, Pid pid, int signal) {
    TRY(check_number(signal));
    SignalInfo info = info_from(context, signal, kSiUser);
    Process& self = context.process();
    if (pid == self.pid) return send_to_process(context, self, info);
    if (pid == INT_MIN) return fail(Errno::kSrch);
    if (pid == 0) return kill_group(context, self.process_group, info);
    if (pid == -1) return kill_all(context, info);
    if (pid < 0) return kill_group(context, -pid, info);
    Ref<Process> target = process_of(pid);
    if (!target) return fail(Errno::kSrch);
    return send_to_process(context, *target, info);
}

enum class Delivery : uint8_t { kPlain, kQueued };

Result<void> send_to_thread(const Context& context, Pid group, Pid tid, const SignalInfo& info, Delivery delivery) {
    Ref<Thread> target = find_thread(tid);
    if (!target) {
        // A leader that has left while its siblings go on, or a zombie: the signal is lost, but it exists.
        Ref<Process> leader = find_process(tid);
        if (!leader || (group > 0 && leader->pid != group)) return fail(Errno::kSrch);
        return check_permission(context, *leader, info.signal);
    }
    if (group > 0 && target->process->pid != group) return fail(Errno::kSrch);
    TRY(check_permission(context, *target->process, info.signal));
    if (info.signal == 0) return {};
    if (delivery == Delivery::kQueued) return queue_signal(*target, info);
    send_signal(*target, info);
    return {};
}

Result<void> sys_tgkill(Context& context, Pid group, Pid tid, int signal) {
    if (group <= 0 || tid <= 0) return fail(Errno::kInval);
    TRY(check_number(signal));
    return send_to_thread(context, group, tid, info_from(context, signal, kSiTkill), Delivery::kPlain);
}

Result<void> sys_tkill(Context& context, Pid tid, int signal) {
    if (tid <= 0) return fail(Errno::kInval);
    TRY(check_number(signal));
    return send_to_thread(context, 0, tid, info_from(context, signal, kSiTkill), Delivery::kPlain);
}

// Only the kernel may pretend that a signal came from kill(2) or from itself.
Result<SignalInfo> read_info(const Context& context, UserIn<UserSignalInfo> address, int signal, Pid target) {
    SignalInfo info = TRY(copy_in_info(address, signal));
    if ((info.code >= 0 || info.code == kSiTkill) && target != context.process().pid) return fail(Errno::kPerm);
    return info;
}

Result<void> sys_rt_sigqueueinfo(Context& context, Pid pid, int signal, UserIn<UserSignalInfo> address) {
    SignalInfo info = TRY(read_info(context, address, signal, pid));
    TRY(check_number(signal));
    Ref<Process> target = process_of(pid);
    if (!target) return fail(Errno::kSrch);
    TRY(check_permission(context, *target, signal));
    if (signal == 0) return {};
    return queue_signal(*target, info);
}

Result<void> sys_rt_tgsigqueueinfo(Context& context, Pid group, Pid tid, int signal, UserIn<UserSignalInfo> address) {
    if (group <= 0 || tid <= 0) return fail(Errno::kInval);
    SignalInfo info = TRY(read_info(context, address, signal, tid));
    TRY(check_number(signal));
    return send_to_thread(context, group, tid, info, Delivery::kQueued);
}

Result<void> sys_pidfd_send_signal(Context& context, int pidfd, int signal, UserIn<UserSignalInfo> address,
                                   uint32_t flags) {
    if (flags) return fail(Errno::kInval);
    Ref<Process> target = TRY(process_to_signal(context.thread, pidfd));
    TRY(check_number(signal));
    SignalInfo info = info_from(context, signal, kSiUser);
    if (!address.is_null()) {
        info = TRY(copy_in_info(address));
        if (info.signal != signal) return fail(Errno::kInval);
        if ((info.code >= 0 || info.code == kSiTkill) && target.get() != &context.process()) {
            return fail(Errno::kPerm);
        }
    }
    {
        core::SpinGuard guard(tree().lock);
        if (target->reaped) return fail(Errno::kSrch);
    }
    return send_to_process(context, *target, info);
}

constexpr SystemCall kCalls[] = {
    CALL(62, kill, "pid, sig", "the first process may be killed like any other"),
    CALL(129, rt_sigqueueinfo, "tgid, sig, info"),
    CALL(200, tkill, "tid, sig"),
    CALL(234, tgkill, "tgid, tid, sig"),
    CALL(297, rt_tgsigqueueinfo, "tgid, tid, sig, info"),
    CALL(424, pidfd_send_signal, "pidfd, sig, info, flags"),
};

}  // namespace

const SystemCallFamily kSignalSendingFamily{"Sending signals", kCalls};

}  // namespace abi
