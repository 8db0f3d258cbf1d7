// Resource limits and usage: getrlimit(2), prlimit64, getrusage(2).
#include "libc-compat/families.h"

#include "arch/x86_64/user_copy.h"
#include "libc-compat/rusage.h"
#include "process/timers.h"

namespace abi {

namespace {

using process::ResourceLimit;

// sysctl fs.nr_open as Linux ships it: no RLIMIT_NOFILE above it.
constexpr uint64_t kMostDescriptors = 1 << 20;

Result<void> set_limit(Context& context, process::Process& target, unsigned resource, const ResourceLimit& wanted) {
    if (wanted.soft > wanted.hard) return fail(Errno::kInval);
    if (resource == process::kLimitNoFile && wanted.hard > kMostDescriptors) return fail(Errno::kPerm);
    bool may_raise = context.credentials().has_capability(process::kCapSysResource);
    process::ProcessTimers* timers = nullptr;
    if (resource == process::kLimitCpu) timers = TRY(process::timers_of(target));
    {
        core::SpinGuard guard(target.signal_lock);
        if (wanted.hard > target.limits[resource].hard && !may_raise) return fail(Errno::kPerm);
        target.limits[resource] = wanted;
    }
    if (timers) timers->cpu_limit.update();
    if (resource == process::kLimitStack) {
        if (Ref<mm::AddressSpace> space = target.space()) space->set_stack_limit(wanted.soft);
    }
    return {};
}

ResourceLimit limit_of(process::Process& target, unsigned resource) {
    core::SpinGuard guard(target.signal_lock);
    return target.limits[resource];
}

Result<void> sys_getrlimit(Context& context, unsigned resource, UserOut<ResourceLimit> limit) {
    if (resource >= process::kResourceLimitCount) return fail(Errno::kInval);
    return arch::copy_out(limit, limit_of(context.process(), resource));
}

Result<void> sys_setrlimit(Context& context, unsigned resource, UserIn<ResourceLimit> limit) {
    ResourceLimit wanted = TRY(arch::copy_in(limit));
    if (resource >= process::kResourceLimitCount) return fail(Errno::kInval);
    return set_limit(context, context.process(), resource, wanted);
}

Result<void> sys_prlimit64(Context& context, int pid, unsigned resource, UserIn<ResourceLimit> limit,
                           UserOut<ResourceLimit> previous) {
    if (resource >= process::kResourceLimitCount) return fail(Errno::kInval);
    ResourceLimit wanted{};
    if (!limit.is_null()) wanted = TRY(arch::copy_in(limit));
    Ref<process::Process> target(context.thread.process);
    if (pid != 0 && pid != target->pid) {
        Ref<process::Thread> thread = process::find_thread(pid);
        if (!thread) return fail(Errno::kSrch);
        target = Ref<process::Process>(thread->process);
        const auto& own = context.credentials();
        core::SpinGuard guard(target->signal_lock);
        const auto& other = *thread->credentials;
        bool same = own.uid == other.uid && own.uid == other.euid && own.uid == other.suid && own.gid == other.gid &&
                    own.gid == other.egid && own.gid == other.sgid;
        if (!same && !own.has_capability(process::kCapSysResource)) return fail(Errno::kPerm);
    }
    ResourceLimit old = limit_of(*target, resource);
    if (!limit.is_null()) TRY(set_limit(context, *target, resource, wanted));
    if (previous.is_null()) return {};
    return arch::copy_out(previous, old);
}

Result<void> sys_getrusage(Context& context, int who, UserOut<UserRusage> usage) {
    constexpr int kSelf = 0, kChildren = -1, kThread = 1;
    process::Usage sum;
    if (who == kChildren) {
        sum = context.process().children_usage;
    } else {
        if (who != kSelf && who != kThread) return fail(Errno::kInval);
        process::note_resident_pages(context.process(), *context.thread.address_space);
        sum = who == kSelf ? process::usage_of(context.process()) : process::usage_of(context.thread);
        sum.max_resident_kib = context.process().max_resident_kib;
    }
    return arch::copy_out(usage, to_rusage(sum));
}

constexpr SystemCall kCalls[] = {
    CALL(97, getrlimit, "resource, rlim"),
    CALL(98, getrusage, "who, usage"),
    CALL(160, setrlimit, "resource, rlim"),
    CALL(302, prlimit64, "pid, resource, new_limit, old_limit"),
};

}  // namespace

const SystemCallFamily kLimitFamily{"limits and usage", kCalls};

}  // namespace abi
