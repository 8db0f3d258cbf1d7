// A schedulable thread of execution. process::Thread derives from it; kernel threads are plain ones.
#pragma once

#include <atomic>
#include <cstdint>

#include "arch/x86_64/layout.h"
#include "core/cpu_count.h"
#include "core/intrusive.h"
#include "core/lock.h"
#include "core/memory.h"
#include "core/types.h"

namespace mm { class AddressSpace; }
namespace arch { struct UserState; }

namespace sched {

// A set of processors; bit n is processor n.
using CpuMask = uint64_t;
inline constexpr unsigned kMaxCpus = core::kMaxCpus;

enum class ThreadState : uint8_t {
    kNew,       // not started
    kRunnable,  // on a run queue or running
    kSleeping,  // waits for wake()
    kDead,      // has called exit_current()
};

// Bits of Thread::exit_work.
inline constexpr uint8_t kWorkReschedule = 1, kWorkSignalMask = 2, kWorkRestart = 4,
    kWorkModel = arch::kExitWorkModel;

enum class Interruptible : bool { kNo, kYes };

class Thread : public core::RefCounted {
  public:
    // A kernel thread: runs `entry(argument)` on its own 16 KiB stack, then dies. Not started yet. ENOMEM.
    static Result<core::Ref<Thread>> create_kernel(const char* name, void (*entry)(void*), void* argument);

    // Fields of the scheduler: read the comments before touching one.
    // The entry stubs test the next two together when a system call returns (THREAD_WORK, asm_layout.h): if both are
    // 0, nothing is looked at on the way out. Who sets one for a thread that runs sends its processor an interrupt.
    std::atomic<bool> interrupt_pending{false};  // a signal wants attention: interruptible sleeps end at once
    std::atomic<uint8_t> exit_work{0};           // kWork*: what return_to_user() has to look at
    std::atomic<ThreadState> state{ThreadState::kNew};
    std::atomic<bool> on_cpu{false};            // still running on its processor (wake() waits for it)
    std::atomic<bool> interruptible_sleep{false};
    unsigned cpu = 0;                            // last or current processor
    CpuMask affinity = ~CpuMask{0};
    int nice = 0;                                // -20 (most) to 19 (least)
    uint64_t virtual_runtime = 0;                // weighted nanoseconds
    uint64_t run_started_ns = 0, run_total_ns = 0;
    core::TreeHook run_queue_hook;
    uint64_t voluntary_switches = 0, involuntary_switches = 0;
    // Entries into the kernel by system call or exception, by arch::Model, up to the last switch.
    uint64_t entries[arch::kModelCount] = {};

    // Fields of the architecture.
    void* kernel_stack = nullptr;       // lowest address; 16 KiB, guard page below
    uint64_t saved_stack_pointer = 0;   // valid while not on a processor
    arch::UserState* user_state = nullptr;  // FPU, FS/GS base, PKRU; null for kernel threads
    core::Ref<mm::AddressSpace> address_space;  // null: kernel thread
    arch::Model model{};                // as what it entered the kernel, for program threads (process/ring.h)
    char name[16] = "?";                // comm

    Thread();
    ~Thread() override;
};

// The thread that runs on this processor.
Thread& current();

// Makes a new thread runnable, on the processor that the policy picks within its affinity.
void start(Thread& thread);
// Makes a sleeping thread runnable; no effect otherwise. From any context. Locks taken: kRunQueue.
void wake(Thread& thread);
// Sets interrupt_pending and wakes the thread if its sleep is interruptible, and kicks its processor if it
// runs a program there, so that the signal is seen soon.
void interrupt(Thread& thread);

// The sleep protocol (no wake-up can be lost):
//     prepare_sleep(Interruptible::kYes);
//     ... register with wakers, test the condition; if it holds: cancel_sleep();
//     outcome = sleep(deadline);      // returns at once if a wake() came since prepare_sleep()
// No spinlock may be held in sleep(). kNever means no deadline.
enum class Wake : uint8_t { kWoken, kTimeout, kInterrupted };
void prepare_sleep(Interruptible interruptible);
void cancel_sleep();
Wake sleep(Nanoseconds deadline = core::kNever);
// prepare + sleep with nothing to wait for: nanosleep, pause.
Wake sleep_until(Nanoseconds deadline, Interruptible interruptible);

// Gives up the processor but stays runnable.
void yield();
// Ends the current thread; its stack is freed by the next thread. Drops the scheduler's reference.
[[noreturn]] void exit_current();
// Changes affinity and moves the thread if needed. EINVAL if no online processor is in the mask.
Result<void> set_affinity(Thread& thread, CpuMask mask);
void set_nice(Thread& thread, int nice);

// A place in a long kernel operation where pending interrupts and flush requests are taken and, if the
// processor is wanted by others, the thread yields. No spinlock may be held.
void poll_point();

// This processor should run another thread as soon as the current one leaves the kernel.
bool need_resched();
// Runs the scheduler now; the current thread stays runnable. From return_to_user().
void reschedule();

CpuMask online_cpus();
unsigned cpu_count();

}  // namespace sched
