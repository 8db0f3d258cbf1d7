#include "process/clone.h"

namespace process {

namespace {

constexpr bool all_of(uint64_t flags, uint64_t wanted) { return (flags & wanted) == wanted; }

}  // namespace

// kernel/fork.c, copy_process().
Result<void> validate_clone(const CloneRequest& request) {
    uint64_t flags = request.flags;
    if (flags & (kCloneNamespaces | kCloneNewTime | kCloneIntoCgroup)) return fail(Errno::kInval);
    if ((flags & kCloneThread) && !(flags & kCloneSigHand)) return fail(Errno::kInval);
    if ((flags & kCloneSigHand) && !(flags & kCloneVm)) return fail(Errno::kInval);
    // Processes that share handlers but are no threads: LinuxThreads' relic, not built.
    if ((flags & kCloneSigHand) && !(flags & kCloneThread)) return fail(Errno::kInval);
    if (all_of(flags, kCloneSigHand | kCloneClearSigHand)) return fail(Errno::kInval);
    if ((flags & kClonePidFd) && (flags & (kCloneDetached | kCloneThread))) return fail(Errno::kInval);
    if (all_of(flags, kClonePidFd | kCloneParentSetTid) &&
        request.pidfd.address() == request.parent_tid.address()) {
        return fail(Errno::kInval);
    }
    return {};
}

// kernel/fork.c, copy_clone_args_from_user() and clone3_args_valid().
Result<CloneRequest> decode_clone3(const CloneArguments& arguments) {
    uint64_t flags = arguments.flags;
    constexpr uint64_t kKnown = 0xffffffff | kCloneClearSigHand | kCloneIntoCgroup;
    if (arguments.set_tid_size > 32) return fail(Errno::kInval);
    if ((arguments.set_tid == 0) != (arguments.set_tid_size == 0)) return fail(Errno::kInval);
    if (arguments.set_tid_size != 0) return fail(Errno::kInval);  // choosing pids is not built
    if ((arguments.exit_signal & ~kCloneSignalMask) || arguments.exit_signal > kSigMax) return fail(Errno::kInval);
    if ((flags & ~kKnown) || (flags & (kCloneDetached | (kCloneSignalMask & ~kCloneNewTime)))) {
        return fail(Errno::kInval);
    }
    if ((flags & (kCloneThread | kCloneParent)) && arguments.exit_signal) return fail(Errno::kInval);
    if ((arguments.stack == 0) != (arguments.stack_size == 0)) return fail(Errno::kInval);
    if (arguments.stack && (arguments.stack >= core::kUserEnd || arguments.stack_size > core::kUserEnd ||
                            arguments.stack + arguments.stack_size > core::kUserEnd)) {
        return fail(Errno::kInval);
    }
    CloneRequest request;
    request.flags = flags;
    request.exit_signal = static_cast<int>(arguments.exit_signal);
    request.stack_pointer = arguments.stack + arguments.stack_size;
    request.tls = arguments.tls;
    request.parent_tid = UserOut<uint32_t>(arguments.parent_tid);
    request.child_tid = UserOut<uint32_t>(arguments.child_tid);
    request.pidfd = UserOut<int32_t>(arguments.pidfd);
    TRY(validate_clone(request));
    return request;
}

}  // namespace process
