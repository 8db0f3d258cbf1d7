// sched_*(2), getpriority(2), setpriority(2), getcpu(2). Policies are kept and reported; all threads get a fair share.
#include "libc-compat/families.h"

#include "arch/x86_64/top_table.h"
#include "arch/x86_64/user_copy.h"
#include "libc-compat/user_time.h"
#include "process/process.h"
#include "sched/run_queue.h"

namespace abi {

namespace {

using process::kCapSysNice;

constexpr int kOther = 0, kFifo = 1, kRoundRobin = 2, kBatch = 3, kIdle = 5, kResetOnFork = 0x4000'0000;

bool is_real_time(int policy) { return policy == kFifo || policy == kRoundRobin; }

// tid 0: the calling thread. EINVAL, ESRCH.
Result<Ref<process::Thread>> find_target(Context& context, int tid) {
    if (tid < 0) return fail(Errno::kInval);
    if (tid == 0) return Ref<process::Thread>(&context.thread);
    Ref<process::Thread> thread = process::find_thread(tid);
    if (!thread) return fail(Errno::kSrch);
    return thread;
}

// May the caller change `target`'s scheduling (sched_setscheduler(2), "Privileges")?
bool may_change(Context& context, process::Thread& target) {
    const auto& own = context.credentials();
    if (own.has_capability(kCapSysNice)) return true;
    core::SpinGuard guard(target.process->signal_lock);
    return own.euid == target.credentials->uid || own.euid == target.credentials->euid;
}

Result<void> sys_sched_yield(Context&) {
    sched::yield();
    return {};
}

Result<void> sys_sched_setaffinity(Context& context, int tid, size_t size, UserIn<std::byte> mask_address) {
    Ref<process::Thread> thread = TRY(find_target(context, tid));
    sched::CpuMask mask = 0;
    TRY(arch::copy_in(&mask, mask_address.address(), size < sizeof(mask) ? size : sizeof(mask)));
    if (!may_change(context, *thread)) return fail(Errno::kPerm);
    return sched::set_affinity(*thread, mask);
}

Result<size_t> sys_sched_getaffinity(Context& context, int tid, size_t size, UserOut<sched::CpuMask> mask) {
    if (size < sizeof(sched::CpuMask) || size % 8) return fail(Errno::kInval);
    Ref<process::Thread> thread = TRY(find_target(context, tid));
    TRY(arch::copy_out(mask, thread->affinity & sched::online_cpus()));
    return sizeof(sched::CpuMask);
}

struct SchedulingParameter { int32_t priority; };

Result<void> set_policy(Context& context, int tid, int policy, const SchedulingParameter& parameter) {
    Ref<process::Thread> thread = TRY(find_target(context, tid));
    if (policy < 0) policy = thread->policy;
    int plain = policy & ~kResetOnFork;
    if (plain != kOther && plain != kBatch && plain != kIdle && !is_real_time(plain)) return fail(Errno::kInval);
    int least = is_real_time(plain) ? 1 : 0, most = is_real_time(plain) ? 99 : 0;
    if (parameter.priority < least || parameter.priority > most) return fail(Errno::kInval);
    if (!may_change(context, *thread)) return fail(Errno::kPerm);
    if (is_real_time(plain) && !context.credentials().has_capability(kCapSysNice) &&
        static_cast<uint64_t>(parameter.priority) > context.limit(process::kLimitRealTimePriority)) {
        return fail(Errno::kPerm);
    }
    thread->policy = plain;
    thread->real_time_priority = parameter.priority;
    return {};
}

Result<void> sys_sched_setparam(Context& context, int tid, UserIn<SchedulingParameter> parameter) {
    if (parameter.is_null()) return fail(Errno::kInval);
    return set_policy(context, tid, -1, TRY(arch::copy_in(parameter)));
}

Result<void> sys_sched_getparam(Context& context, int tid, UserOut<SchedulingParameter> parameter) {
    if (parameter.is_null()) return fail(Errno::kInval);
    Ref<process::Thread> thread = TRY(find_target(context, tid));
    return arch::copy_out(parameter, SchedulingParameter{thread->real_time_priority});
}

Result<void> sys_sched_setscheduler(Context& context, int tid, int policy, UserIn<SchedulingParameter> parameter) {
    if (policy < 0 || parameter.is_null()) return fail(Errno::kInval);
    return set_policy(context, tid, policy, TRY(arch::copy_in(parameter)));
}

Result<int> sys_sched_getscheduler(Context& context, int tid) { return TRY(find_target(context, tid))->policy; }

// sched_setattr(2); the first version ends with `period`.
struct SchedulingAttributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
    uint32_t least_utilisation, most_utilisation;
};
constexpr uint32_t kFirstAttributesSize = 48;

Result<SchedulingAttributes> read_attributes(UserOut<SchedulingAttributes> address) {
    SchedulingAttributes attributes{};
    uint32_t size = TRY(arch::copy_in(UserIn<uint32_t>(address.address().value())));
    if (size == 0) size = kFirstAttributesSize;
    if (size < kFirstAttributesSize || size > core::kPageSize) {
        TRY(arch::copy_out(UserOut<uint32_t>(address.address().value()), uint32_t{sizeof(attributes)}));
        return fail(Errno::k2Big);
    }
    for (uint32_t at = sizeof(attributes); at < size; at++) {
        if (TRY(arch::copy_in(UserIn<uint8_t>(address.address().value() + at)))) return fail(Errno::k2Big);
    }
    TRY(arch::copy_in(&attributes, address.address(), size < sizeof(attributes) ? size : sizeof(attributes)));
    return attributes;
}

Result<void> sys_sched_setattr(Context& context, int tid, UserOut<SchedulingAttributes> address, uint32_t flags) {
    constexpr uint64_t kFlagResetOnFork = 1;
    if (address.is_null() || tid < 0 || flags) return fail(Errno::kInval);
    SchedulingAttributes attributes = TRY(read_attributes(address));
    auto policy = static_cast<int>(attributes.policy);
    if (policy < 0 || (attributes.flags & ~kFlagResetOnFork)) return fail(Errno::kInval);
    if (attributes.nice < -20 || attributes.nice > 19) attributes.nice = attributes.nice < 0 ? -20 : 19;
    TRY(set_policy(context, tid, policy, {static_cast<int32_t>(attributes.priority)}));
    if (is_real_time(policy)) return {};
    Ref<process::Thread> thread = TRY(find_target(context, tid));
    bool raises = attributes.nice < thread->nice &&
                  static_cast<uint64_t>(20 - attributes.nice) > context.limit(process::kLimitNice);
    if (raises && !context.credentials().has_capability(kCapSysNice)) return fail(Errno::kPerm);
    sched::set_nice(*thread, attributes.nice);
    return {};
}

Result<void> sys_sched_getattr(Context& context, int tid, UserOut<SchedulingAttributes> address, uint32_t size,
                               uint32_t flags) {
    if (address.is_null() || tid < 0 || size < kFirstAttributesSize || size > core::kPageSize || flags) {
        return fail(Errno::kInval);
    }
    Ref<process::Thread> thread = TRY(find_target(context, tid));
    SchedulingAttributes attributes{};
    attributes.size = size < sizeof(attributes) ? size : sizeof(attributes);
    attributes.policy = static_cast<uint32_t>(thread->policy);
    if (is_real_time(thread->policy)) attributes.priority = static_cast<uint32_t>(thread->real_time_priority);
    else attributes.nice = thread->nice;
    return arch::copy_out(address.address(), &attributes, attributes.size);
}

Result<int> priority_limit(int policy, int real_time) {
    if (is_real_time(policy)) return real_time;
    if (policy == kOther || policy == kBatch || policy == kIdle) return 0;
    return fail(Errno::kInval);
}
Result<int> sys_sched_get_priority_max(Context&, int policy) { return priority_limit(policy, 99); }
Result<int> sys_sched_get_priority_min(Context&, int policy) { return priority_limit(policy, 1); }

Result<void> sys_sched_rr_get_interval(Context& context, int tid, UserOut<UserTimespec> interval) {
    Ref<process::Thread> thread = TRY(find_target(context, tid));
    return arch::copy_out(interval, to_timespec(thread->policy == kFifo ? 0 : sched::kSliceNs));
}

Result<void> sys_getcpu(Context&, UserOut<uint32_t> cpu, UserOut<uint32_t> node) {
    if (!cpu.is_null()) TRY(arch::copy_out(cpu, uint32_t{arch::this_cpu()}));
    if (!node.is_null()) TRY(arch::copy_out(node, uint32_t{0}));
    return {};
}

// Visits the threads that getpriority(2) means by (which, who).
template <typename Visit>
Result<void> visit_priority_targets(Context& context, int which, int who, Visit visit) {
    constexpr int kProcess = 0, kGroup = 1, kUser = 2;
    if (which < kProcess || which > kUser) return fail(Errno::kInval);
    if (which == kProcess) {
        Ref<process::Thread> thread(who == 0 ? &context.thread : nullptr);
        if (who != 0) thread = process::find_thread(who);
        if (!thread) return fail(Errno::kSrch);
        return visit(*thread);
    }
    struct Search {
        int which, who;
        Visit& visit;
        bool found = false;
        Result<void> outcome;
    } search{which, who, visit, false, {}};
    if (who == 0) search.who = which == kGroup ? context.process().process_group.load() : int(context.credentials().uid);
    process::for_each_process([](void* opaque, process::Process& candidate) {
        auto& search = *static_cast<Search*>(opaque);
        Ref<process::Thread> leader = process::find_thread(candidate.pid);
        if (!leader) return;
        if (search.which == kGroup ? candidate.process_group.load() != search.who
                                   : int(leader->credentials->uid) != search.who) {
            return;
        }
        search.found = true;
        if (auto result = search.visit(*leader); !result) search.outcome = fail(result.error());
    }, &search);
    if (!search.found) return fail(Errno::kSrch);
    return search.outcome;
}

// The system call returns 20 - nice, so that no value is negative (getpriority(2), "C library/kernel differences").
Result<int> sys_getpriority(Context& context, int which, int who) {
    int best = 0;
    auto look = [&best](process::Thread& thread) -> Result<void> {
        if (20 - thread.nice > best) best = 20 - thread.nice;
        return {};
    };
    TRY(visit_priority_targets(context, which, who, look));
    return best;
}

Result<void> sys_setpriority(Context& context, int which, int who, int nice) {
    nice = nice < -20 ? -20 : nice > 19 ? 19 : nice;
    auto change = [&context, nice](process::Thread& thread) -> Result<void> {
        if (!may_change(context, thread)) return fail(Errno::kPerm);
        bool raises = nice < thread.nice && static_cast<uint64_t>(20 - nice) > context.limit(process::kLimitNice);
        if (raises && !context.credentials().has_capability(kCapSysNice)) return fail(Errno::kAcces);
        sched::set_nice(thread, nice);
        return {};
    };
    return visit_priority_targets(context, which, who, change);
}

constexpr SystemCall kCalls[] = {
    CALL(24, sched_yield, ""),
    CALL(140, getpriority, "which, who"),
    CALL(141, setpriority, "which, who, prio"),
    CALL(142, sched_setparam, "pid, param"),
    CALL(143, sched_getparam, "pid, param"),
    CALL(144, sched_setscheduler, "pid, policy, param", "the policy is kept and reported; all threads share fairly"),
    CALL(145, sched_getscheduler, "pid"),
    CALL(146, sched_get_priority_max, "policy"),
    CALL(147, sched_get_priority_min, "policy"),
    CALL(148, sched_rr_get_interval, "pid, tp"),
    CALL(203, sched_setaffinity, "pid, cpusetsize, mask"),
    CALL(204, sched_getaffinity, "pid, cpusetsize, mask"),
    CALL(309, getcpu, "cpu, node"),
    CALL(314, sched_setattr, "pid, attr, flags", "SCHED_DEADLINE is missing: EINVAL"),
    CALL(315, sched_getattr, "pid, attr, size, flags"),
};

}  // namespace

const SystemCallFamily kSchedulingFamily{"scheduling", kCalls};

}  // namespace abi
