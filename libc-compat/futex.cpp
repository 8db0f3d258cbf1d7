// futex(2), set_robust_list(2), get_robust_list(2). PI operations are missing: ENOSYS.
#include "process/futex.h"

#include "libc-compat/families.h"
#include "libc-compat/user_time.h"

namespace abi {

namespace {

enum Operation : uint32_t {
    kWait = 0, kWake = 1, kRequeue = 3, kCmpRequeue = 4, kWakeOp = 5, kWaitBitset = 9, kWakeBitset = 10,
};
constexpr uint32_t kPrivateFlag = 128, kClockRealtimeFlag = 256;

// restart_syscall(2) after a signal without handler: waits on until the same deadline.
Result<int64_t> resume_wait(process::Thread& thread, process::RestartBlock& block) {
    auto result = process::futex_wait(UserAddr(block.arguments[0]), static_cast<mm::Sharing>(block.arguments[1]),
                                      static_cast<uint32_t>(block.arguments[2]),
                                      static_cast<uint32_t>(block.arguments[3]), block.arguments[4]);
    if (result) return 0;
    return fail(result.error() == Errno::kRestartSys ? Errno::kRestartBlock : result.error());
}

Result<size_t> wait(Context& context, UserAddr address, mm::Sharing sharing, uint32_t value, uint32_t bitset,
                    Nanoseconds deadline) {
    auto result = process::futex_wait(address, sharing, value, bitset, deadline);
    if (result) return 0;
    if (result.error() != Errno::kRestartSys || deadline == core::kNever) return fail(result.error());
    context.thread.restart = {resume_wait,
                              {address.value(), static_cast<uint64_t>(sharing), value, bitset, deadline}};
    return fail(Errno::kRestartBlock);
}

Result<size_t> sys_futex(Context& context, UserAddr address, uint32_t operation, uint32_t value,
                         uint64_t timeout_or_count, UserAddr second, uint32_t value3) {
    mm::Sharing sharing = operation & kPrivateFlag ? mm::Sharing::kPrivate : mm::Sharing::kShared;
    uint32_t command = operation & ~(kPrivateFlag | kClockRealtimeFlag);
    if ((operation & kClockRealtimeFlag) && command != kWaitBitset && command != kWait) return fail(Errno::kNoSys);
    auto count = static_cast<uint32_t>(timeout_or_count);
    switch (command) {
        case kWait:
        case kWaitBitset: {
            Nanoseconds deadline = core::kNever;
            if (timeout_or_count) {
                Nanoseconds time = TRY(read_timespec(UserIn<UserTimespec>(timeout_or_count)));
                if (command == kWait) deadline = deadline_after(time);
                else deadline = operation & kClockRealtimeFlag ? realtime_to_monotonic(time) : time;
            }
            uint32_t bitset = command == kWait ? process::kFutexMatchAny : value3;
            return wait(context, address, sharing, value, bitset, deadline);
        }
        case kWake: return process::futex_wake(address, sharing, value);
        case kWakeBitset: return process::futex_wake(address, sharing, value, value3);
        case kRequeue:
        case kCmpRequeue:
            if (static_cast<int32_t>(value) < 0 || static_cast<int32_t>(count) < 0) return fail(Errno::kInval);
            return process::futex_requeue(address, second, sharing, value, count,
                                          command == kCmpRequeue ? &value3 : nullptr);
        case kWakeOp: return process::futex_wake_op(address, second, sharing, value, count, value3);
        default: return fail(Errno::kNoSys);
    }
}

constexpr size_t kRobustHeadSize = 24;

Result<void> sys_set_robust_list(Context& context, uint64_t head, size_t size) {
    if (size != kRobustHeadSize) return fail(Errno::kInval);
    context.thread.robust_list = head;
    return {};
}

Result<void> sys_get_robust_list(Context& context, int tid, UserOut<uint64_t> head, UserOut<uint64_t> size) {
    Ref<process::Thread> thread(tid == 0 ? &context.thread : nullptr);
    if (tid != 0) thread = process::find_thread(tid);
    if (!thread) return fail(Errno::kSrch);
    if (thread->process != context.thread.process && !context.credentials().has_capability(process::kCapSysPtrace)) {
        return fail(Errno::kPerm);
    }
    TRY(arch::copy_out(size, uint64_t{kRobustHeadSize}));
    return arch::copy_out(head, thread->robust_list);
}

constexpr SystemCall kCalls[] = {
    CALL(202, futex, "uaddr, futex_op, val, timeout, uaddr2, val3", "priority inheritance is missing: ENOSYS"),
    CALL(273, set_robust_list, "head, len"),
    CALL(274, get_robust_list, "pid, head_ptr, len_ptr"),
};

}  // namespace

const SystemCallFamily kFutexFamily{"futexes", kCalls};

}  // namespace abi
