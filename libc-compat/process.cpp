// Processes and threads: clone(2), exit(2), getpid(2), setpgid(2), setsid(2), pidfd_open(2).
#include <cstring>

#include "arch/x86_64/user_copy.h"
#include "libc-compat/families.h"
#include "libc-compat/syscall.h"
#include "process/clone.h"
#include "process/exit.h"
#include "process/pidfd.h"
#include "process/tree.h"

namespace abi {

namespace {

using process::Pid;
using process::PidNumber;
using process::Process;

Result<Pid> sys_fork(Context& context) {
    process::CloneRequest request;
    request.exit_signal = process::kSigChld;
    return process::clone(context.thread, context.frame, request);
}

Result<Pid> sys_vfork(Context& context) {
    process::CloneRequest request;
    request.flags = process::kCloneVfork | process::kCloneVm;
    request.exit_signal = process::kSigChld;
    return process::clone(context.thread, context.frame, request);
}

Result<Pid> sys_clone(Context& context, uint64_t flags, uint64_t stack, UserOut<uint32_t> parent_tid,
                      UserOut<uint32_t> child_tid, uint64_t tls) {
    process::CloneRequest request;
    request.flags = static_cast<uint32_t>(flags) & ~process::kCloneSignalMask;
    request.exit_signal = static_cast<int>(flags & process::kCloneSignalMask);
    request.stack_pointer = stack;
    request.tls = tls;
    request.parent_tid = parent_tid;
    request.child_tid = child_tid;
    request.pidfd = UserOut<int32_t>(parent_tid.address().value());
    return process::clone(context.thread, context.frame, request);
}

Result<Pid> sys_clone3(Context& context, UserIn<process::CloneArguments> arguments, size_t size) {
    constexpr size_t kFirstVersion = 64;
    if (size > kPageSize) return fail(Errno::k2Big);
    if (size < kFirstVersion) return fail(Errno::kInval);
    process::CloneArguments decoded{};
    size_t known = size < sizeof(decoded) ? size : sizeof(decoded);
    TRY(arch::copy_in(&decoded, arguments.address(), known));
    for (size_t at = known; at < size; at++) {
        if (TRY(arch::copy_in(UserIn<uint8_t>(arguments.address().value() + at)))) return fail(Errno::k2Big);
    }
    return process::clone(context.thread, context.frame, TRY(process::decode_clone3(decoded)));
}

Result<void> sys_exit(Context&, int code) { process::exit_thread(process::exited_status(code)); }
Result<void> sys_exit_group(Context&, int code) { process::exit_group(process::exited_status(code)); }

Result<Pid> sys_getpid(Context& context) { return context.process().pid; }
Result<Pid> sys_gettid(Context& context) { return context.thread.tid; }

Result<Pid> sys_getppid(Context& context) {
    core::SpinGuard guard(process::tree().lock);
    Process* parent = context.process().parent;
    return parent ? parent->pid : 0;
}

Result<Pid> sys_set_tid_address(Context& context, UserOut<uint32_t> address) {
    context.thread.clear_child_tid = address;
    return context.thread.tid;
}

Result<Pid> sys_getpgrp(Context& context) { return context.process().process_group.load(); }

// The process that a call names; 0 is the caller's. ESRCH.
Result<Ref<Process>> named_process(Context& context, Pid pid) {
    if (pid == 0) return Ref<Process>(&context.process());
    if (Ref<process::Thread> thread = process::find_thread(pid)) return Ref<Process>(thread->process);
    Ref<Process> found = process::find_process(pid);
    if (!found) return fail(Errno::kSrch);
    return found;
}

Result<Pid> sys_getpgid(Context& context, Pid pid) {
    return TRY(named_process(context, pid))->process_group.load();
}

Result<Pid> sys_getsid(Context& context, Pid pid) { return TRY(named_process(context, pid))->session.load(); }

// kernel/sys.c, setpgid(2).
Result<PidNumber*> set_group_of_locked(Process& self, Pid pid, Pid group) {
    PidNumber* number = process::tree().pids.find(pid);
    Process* target = number ? number->process : nullptr;
    if (!target) return fail(Errno::kSrch);
    if (target->parent == &self) {
        if (target->session != self.session) return fail(Errno::kPerm);
        if (target->has_executed) return fail(Errno::kAcces);
    } else if (target != &self) {
        return fail(Errno::kSrch);
    }
    if (target->session == target->pid) return fail(Errno::kPerm);
    PidNumber* wanted = number;
    if (group != pid) {
        wanted = process::tree().pids.find(group);
        if (!wanted || wanted->group.empty() || wanted->group.front().session != self.session) {
            return fail(Errno::kPerm);
        }
    }
    if (target->zombie) return nullptr;
    return process::set_group_locked(*target, *wanted);
}

Result<void> sys_setpgid(Context& context, Pid pid, Pid group) {
    if (pid == 0) pid = context.process().pid;
    if (group == 0) group = pid;
    if (group < 0) return fail(Errno::kInval);
    PidNumber* unused;
    {
        core::SpinGuard guard(process::tree().lock);
        unused = TRY(set_group_of_locked(context.process(), pid, group));
    }
    process::free_number(unused);
    return {};
}

Result<Pid> sys_setsid(Context& context) {
    Process& self = context.process();
    PidNumber *old_group, *old_session;
    {
        core::SpinGuard guard(process::tree().lock);
        // A leader of a group or session stays what it is; so does the number of a group that others formed.
        if (self.session == self.pid || !self.id->group.empty()) return fail(Errno::kPerm);
        old_group = process::set_group_locked(self, *self.id);
        old_session = process::set_session_locked(self, *self.id);
    }
    process::free_number(old_group);
    process::free_number(old_session);
    return self.pid;
}

Result<int> sys_pidfd_open(Context& context, Pid pid, uint32_t flags) {
    if (flags & ~fs::kONonBlock || pid <= 0) return fail(Errno::kInval);
    Ref<Process> target = process::find_process(pid);
    if (!target) return fail(process::find_thread(pid) ? Errno::kInval : Errno::kSrch);
    auto file = TRY(core::make_ref<process::PidFile>(std::move(target), flags));
    return context.files().install(std::move(file), fs::CloseOnExec::kYes, context.limit(process::kLimitNoFile));
}

constexpr SystemCall kCalls[] = {
    CALL(39, getpid, ""),
    CALL(56, clone, "flags, stack, parent_tid, child_tid, tls",
         "namespaces, and CLONE_SIGHAND without CLONE_THREAD: EINVAL"),
    CALL(57, fork, ""),
    CALL(58, vfork, ""),
    CALL(60, exit, "status"),
    CALL(109, setpgid, "pid, pgid"),
    CALL(110, getppid, ""),
    CALL(111, getpgrp, ""),
    CALL(112, setsid, ""),
    CALL(121, getpgid, "pid"),
    CALL(124, getsid, "pid"),
    CALL(186, gettid, ""),
    CALL(218, set_tid_address, "tidptr"),
    CALL(231, exit_group, "status"),
    CALL(434, pidfd_open, "pid, flags"),
    CALL(435, clone3, "cl_args, size", "namespaces, set_tid and cgroups: EINVAL"),
};

}  // namespace

const SystemCallFamily kProcessFamily{"Processes and threads", kCalls};

}  // namespace abi
