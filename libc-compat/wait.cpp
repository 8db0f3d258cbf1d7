// Waiting for children: wait4(2), waitid(2).
#include "process/wait.h"

#include <climits>

#include "arch/x86_64/user_copy.h"
#include "libc-compat/rusage.h"
#include "libc-compat/families.h"
#include "libc-compat/syscall.h"
#include "process/pidfd.h"

namespace abi {

namespace {

using process::Pid;
using process::WaitRequest;

constexpr uint32_t kWait4Options = process::kWaitNoHang | process::kWaitStopped | process::kWaitContinued |
                                   process::kWaitNoThread | process::kWaitClone | process::kWaitAll;
constexpr uint32_t kWaitIdOptions = kWait4Options | process::kWaitExited | process::kWaitNoWait;

Result<Pid> sys_wait4(Context& context, Pid pid, UserOut<int32_t> status, uint32_t options,
                      UserOut<UserRusage> usage) {
    if (options & ~kWait4Options) return fail(Errno::kInval);
    if (pid == INT_MIN) return fail(Errno::kSrch);
    WaitRequest request;
    request.options = options | process::kWaitExited;
    if (pid > 0) {
        request.kind = WaitRequest::Kind::kProcess;
        request.id = pid;
    } else if (pid != -1) {
        request.kind = WaitRequest::Kind::kGroup;
        request.id = pid == 0 ? context.process().process_group.load() : -pid;
    }
    process::WaitResult result = TRY(process::wait_for_child(context.thread, request));
    if (result.pid == 0) return 0;
    if (!status.is_null()) TRY(arch::copy_out(status, result.status));
    if (!usage.is_null()) TRY(arch::copy_out(usage, to_rusage(result.usage)));
    return result.pid;
}

// Only the fields that waitid(2) names are written.
struct InfoHead { int32_t signal, error, code; };
struct InfoChild { int32_t pid; uint32_t uid; int32_t status; };
constexpr uint64_t kInfoChildOffset = 16;

Result<void> sys_waitid(Context& context, int kind, Pid id, UserOut<InfoHead> info, uint32_t options,
                        UserOut<UserRusage> usage) {
    constexpr int kAll = 0, kPid = 1, kGroup = 2, kPidFd = 3;
    if (options & ~kWaitIdOptions) return fail(Errno::kInval);
    if (!(options & (process::kWaitExited | process::kWaitStopped | process::kWaitContinued))) {
        return fail(Errno::kInval);
    }
    WaitRequest request;
    request.options = options;
    request.id = id;
    switch (kind) {
        case kAll: break;
        case kPid:
            if (id <= 0) return fail(Errno::kInval);
            request.kind = WaitRequest::Kind::kProcess;
            break;
        case kGroup:
            if (id < 0) return fail(Errno::kInval);
            request.kind = WaitRequest::Kind::kGroup;
            if (id == 0) request.id = context.process().process_group;
            break;
        case kPidFd:
            if (id < 0) return fail(Errno::kInval);
            request.kind = WaitRequest::Kind::kProcess;
            request.id = TRY(process::process_of_pidfd(context.thread, id))->pid;
            break;
        default: return fail(Errno::kInval);
    }
    process::WaitResult result = TRY(process::wait_for_child(context.thread, request));
    if (result.pid && !usage.is_null()) TRY(arch::copy_out(usage, to_rusage(result.usage)));
    if (info.is_null()) return {};
    InfoHead head{result.pid ? process::kSigChld : 0, 0, result.code};
    InfoChild child{result.pid, result.uid, result.info_status};
    TRY(arch::copy_out(info, head));
    return arch::copy_out(UserOut<InfoChild>(info.address().value() + kInfoChildOffset), child);
}

constexpr SystemCall kCalls[] = {
    CALL(61, wait4, "pid, wstatus, options, rusage"),
    CALL(247, waitid, "idtype, id, infop, options, rusage"),
};

}  // namespace

const SystemCallFamily kWaitFamily{"Waiting for children", kCalls};

}  // namespace abi
