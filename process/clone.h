// Making threads and processes: one core for fork, vfork, clone and clone3 (clone(2)).
#pragma once

#include "process/process.h"

namespace process {

inline constexpr uint64_t kCloneSignalMask = 0xff, kCloneVm = 0x100, kCloneFs = 0x200, kCloneFiles = 0x400,
    kCloneSigHand = 0x800, kClonePidFd = 0x1000, kClonePtrace = 0x2000, kCloneVfork = 0x4000, kCloneParent = 0x8000,
    kCloneThread = 0x10000, kCloneNewNs = 0x20000, kCloneSysVSem = 0x40000, kCloneSetTls = 0x80000,
    kCloneParentSetTid = 0x100000, kCloneChildClearTid = 0x200000, kCloneDetached = 0x400000,
    kCloneUntraced = 0x800000, kCloneChildSetTid = 0x1000000, kCloneNewCgroup = 0x2000000, kCloneNewUts = 0x4000000,
    kCloneNewIpc = 0x8000000, kCloneNewUser = 0x10000000, kCloneNewPid = 0x20000000, kCloneNewNet = 0x40000000,
    kCloneIo = 0x80000000, kCloneNewTime = 0x80, kCloneClearSigHand = 0x100000000, kCloneIntoCgroup = 0x200000000;
inline constexpr uint64_t kCloneNamespaces = kCloneNewNs | kCloneNewCgroup | kCloneNewUts | kCloneNewIpc |
                                             kCloneNewUser | kCloneNewPid | kCloneNewNet;

struct CloneRequest {
    uint64_t flags = 0;  // without the signal
    int exit_signal = 0;
    uint64_t stack_pointer = 0;  // 0: the caller's
    uint64_t tls = 0;
    UserOut<uint32_t> parent_tid, child_tid;
    UserOut<int32_t> pidfd;
};

// struct clone_args of clone3(2).
struct CloneArguments {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
    uint64_t set_tid, set_tid_size, cgroup;
};

// Flag combinations that Linux refuses, and those that this kernel lacks (namespaces, SIGHAND without THREAD):
// EINVAL. Pure.
Result<void> validate_clone(const CloneRequest& request);
// clone3's arguments as a request. EINVAL. Pure.
Result<CloneRequest> decode_clone3(const CloneArguments& arguments);

// Makes the child and starts it; with CLONE_VFORK waits until it has executed another program or ended. Returns its
// tid. Nothing has changed after an error: EAGAIN (limits, pids), ENOMEM, EINVAL, kRestartNoIntr.
Result<Pid> clone(Thread& parent, const arch::TrapFrame& frame, const CloneRequest& request);

// What a vforking parent waits for.
class VforkDone final : public core::RefCounted {
  public:
    void complete();
    // Returns at once if the waiting thread must exit.
    void wait(Thread& waiter);

  private:
    core::Spinlock lock_{core::Rank::kProcess};
    sched::WaitQueue waiters_;
    bool done_ = false;
};

}  // namespace process
