// Run queues of all processors, sleeping and waking, and the switch.
//
// A thread's state changes under the run-queue lock of the processor in `thread.cpu`. The lock of the switching
// processor is held across the switch and released by finish_switch() on the next thread's stack, so that nobody
// can run a thread whose registers are not saved yet.
#include "sched/scheduler.h"

#include "arch/x86_64/apic.h"
#include "arch/x86_64/clock.h"
#include "arch/x86_64/context_switch.h"
#include "arch/x86_64/fpu.h"
#include "arch/x86_64/interrupts.h"
#include "arch/x86_64/processor.h"
#include "arch/x86_64/registers.h"
#include "arch/x86_64/top_table.h"
#include "core/lock.h"
#include "mm/address_space.h"
#include "mm/kernel_stacks.h"
#include "sched/run_queue.h"
#include "sched/timer.h"

#include <cstring>
#include <utility>

namespace sched {

namespace {

struct Cpu {
    core::Spinlock lock{core::Rank::kRunQueue};
    RunQueue queue;
    Thread* running = nullptr;
    Thread* idle = nullptr;
    Thread* previous = nullptr;       // whom finish_switch() leaves behind
    bool previous_dead = false;
    Nanoseconds slice_end = core::kNever;
};

Cpu cpus[kMaxCpus];
std::atomic<CpuMask> online{0};
std::atomic<CpuMask> idle_mask{0};

Cpu& this_cpu() { return cpus[arch::this_cpu()]; }

CpuMask bit(unsigned cpu) { return CpuMask{1} << cpu; }

// Asks processor `cpu` to reschedule soon.
void kick(unsigned cpu) {
    arch::processor_of(cpu)->need_resched.store(true, std::memory_order_release);
    if (cpu == arch::this_cpu()) current().exit_work.fetch_or(kWorkReschedule, std::memory_order_relaxed);
    else arch::send_ipi(arch::apic_id_of(cpu), arch::kVectorReschedule);
}

// Charges the running thread up to now.
void account(Cpu& cpu, Thread& thread, Nanoseconds now) {
    Nanoseconds ran = now - thread.run_started_ns;
    thread.run_started_ns = now;
    thread.run_total_ns += ran;
    if (&thread != cpu.idle) cpu.queue.charge(thread, ran);
}

// Puts a runnable thread on `target`'s queue and lets it run there soon if it should. Lock of target held.
void enqueue_locked(Cpu& target, unsigned number, Thread& thread, RunQueue::Reason reason) {
    target.queue.enqueue(thread, reason);
    if (target.running == target.idle) {
        idle_mask.fetch_and(~bit(number));
        kick(number);
    } else if (target.queue.preempts(thread, *target.running)) {
        kick(number);
    } else if (target.slice_end == core::kNever) {
        // The running thread was alone and had no slice: start one.
        target.slice_end = monotonic_ns() + kSliceNs;
        if (number == arch::this_cpu()) program_timer(target.slice_end);
        else arch::send_ipi(arch::apic_id_of(number), arch::kVectorTimer);
    }
}

// Where a thread should run: its last processor if that is idle or the only one, else an idle one.
unsigned choose_cpu(const Thread& thread) {
    CpuMask allowed = thread.affinity & online.load();
    if (!allowed) allowed = online.load();
    CpuMask idle = allowed & idle_mask.load();
    if (allowed & bit(thread.cpu)) {
        if (!idle || (idle & bit(thread.cpu))) return thread.cpu;
    }
    return static_cast<unsigned>(__builtin_ctzll(idle ? idle : allowed));
}

// Takes a waiting thread from the longest other queue. Own lock not held.
Thread* steal(unsigned self) {
    for (CpuMask others = online.load() & ~bit(self); others; others &= others - 1) {
        auto victim = static_cast<unsigned>(__builtin_ctzll(others));
        if (cpus[victim].queue.empty()) continue;
        core::SpinGuard guard(cpus[victim].lock);
        if (Thread* thread = cpus[victim].queue.steal_for(self)) {
            // Still on its stack over there? Then it is about to be left: its lock is held until it is.
            thread->cpu = self;
            return thread;
        }
    }
    return nullptr;
}

void load_memory_of(Thread& previous, Thread& next) {
    // Also within one space: its model may have changed since the table was loaded.
    if (next.address_space) {
        next.address_space->activate();
        // The stub by which it entered is not the one by which it may leave.
        if (next.address_space->model() != next.model) next.exit_work.fetch_or(kWorkModel, std::memory_order_relaxed);
    } else if (previous.address_space) {
        arch::load_kernel_table();
    }
    if (previous.address_space && previous.address_space != next.address_space.get()) {
        previous.address_space->deactivate();
    }
}

// Runs `next` instead of the current thread. Lock of this processor held; finish_switch() releases it.
void switch_to(Cpu& cpu, Thread& next) {
    Thread& previous = *cpu.running;
    cpu.running = &next;
    cpu.previous = &previous;
    if (&next == &previous) return;
    arch::Processor& processor = arch::processor();
    if (previous.user_state) arch::save_user_state(*previous.user_state);
    load_memory_of(previous, next);
    if (next.user_state) arch::load_user_state(*next.user_state);
    for (unsigned model = 0; model < arch::kModelCount; model++) {
        // In this order, for those who add the two up (process::entries_of()).
        __atomic_store_n(&previous.entries[model], previous.entries[model] + processor.entries[model], __ATOMIC_RELEASE);
        __atomic_store_n(&processor.entries[model], 0, __ATOMIC_RELEASE);
    }
    processor.current = &next;
    processor.user_state = next.user_state;
    processor.entry_stack = reinterpret_cast<uint64_t>(next.kernel_stack) + arch::kKernelStackSize - sizeof(uint64_t);
    next.on_cpu.store(true);  // before it looks at interrupt_pending: interrupt() does the reverse
    arch_switch_stack(&previous.saved_stack_pointer, next.saved_stack_pointer);
}

// Picks the next thread and switches. `requeue`: the current one stays runnable. Lock held on entry, not on
// return.
void schedule_locked(Cpu& cpu, bool requeue) {
    unsigned self = arch::this_cpu();
    arch::processor().need_resched.store(false, std::memory_order_relaxed);
    Nanoseconds now = monotonic_ns();
    Thread& previous = *cpu.running;
    account(cpu, previous, now);
    if (requeue && &previous != cpu.idle) cpu.queue.enqueue(previous, RunQueue::Reason::kPreempted);
    Thread* next = cpu.queue.pick();
    if (!next) next = cpu.idle;
    if (next == cpu.idle) idle_mask.fetch_or(bit(self));
    else idle_mask.fetch_and(~bit(self));
    next->run_started_ns = now;
    if (cpu.queue.empty()) {
        cpu.slice_end = core::kNever;
    } else {
        cpu.slice_end = now + kSliceNs;
        program_timer(cpu.slice_end);
    }
    switch_to(cpu, *next);
    finish_switch();
}

}  // namespace

void finish_switch() {
    Cpu& cpu = this_cpu();
    Thread* previous = cpu.previous;
    bool dead = cpu.previous_dead;
    cpu.previous_dead = false;
    if (previous != cpu.running) previous->on_cpu.store(false, std::memory_order_release);
    cpu.lock.unlock();
    if (dead) previous->unref();
}

Thread& current() { return *arch::processor().current; }

bool need_resched() { return arch::processor().need_resched.load(std::memory_order_relaxed); }

void reschedule() {
    Cpu& cpu = this_cpu();
    cpu.lock.lock();
    current().involuntary_switches++;
    schedule_locked(cpu, true);
}

void yield() {
    Cpu& cpu = this_cpu();
    cpu.lock.lock();
    Thread& thread = *cpu.running;
    account(cpu, thread, monotonic_ns());
    if (cpu.queue.empty()) return cpu.lock.unlock();
    // Behind those who wait, as sched_yield(2) says: no credit is kept.
    thread.virtual_runtime += kWakeupGranularityNs;
    schedule_locked(cpu, true);
}

void start(Thread& thread) {
    thread.ref();  // the scheduler's, dropped after exit_current()
    thread.state.store(ThreadState::kRunnable);
    thread.cpu = arch::this_cpu();
    unsigned target = choose_cpu(thread);
    core::SpinGuard guard(cpus[target].lock);
    thread.cpu = target;
    enqueue_locked(cpus[target], target, thread, RunQueue::Reason::kNew);
}

void wake(Thread& thread) {
    // The cheap answer first; a thread that is about to sleep sets its state before it tests its condition.
    if (thread.state.load() != ThreadState::kSleeping) return;
    unsigned home;
    for (;;) {
        home = thread.cpu;
        cpus[home].lock.lock();
        if (thread.cpu == home) break;
        cpus[home].lock.unlock();
    }
    if (thread.state.load() != ThreadState::kSleeping) return cpus[home].lock.unlock();
    thread.state.store(ThreadState::kRunnable);
    // Not switched away yet: sleep() sees the state and returns.
    if (cpus[home].running == &thread) return cpus[home].lock.unlock();
    unsigned target = choose_cpu(thread);
    if (target != home) {
        thread.cpu = target;
        cpus[home].lock.unlock();
        cpus[target].lock.lock();
    }
    enqueue_locked(cpus[target], target, thread, RunQueue::Reason::kWoken);
    cpus[target].lock.unlock();
}

void interrupt(Thread& thread) {
    thread.interrupt_pending.store(true);
    if (thread.interruptible_sleep.load()) wake(thread);
    unsigned cpu = thread.cpu;
    if (thread.on_cpu.load() && cpu != arch::this_cpu()) {
        arch::send_ipi(arch::apic_id_of(cpu), arch::kVectorReschedule);
    }
}

void prepare_sleep(Interruptible interruptible) {
    Thread& thread = current();
    thread.interruptible_sleep.store(interruptible == Interruptible::kYes);
    thread.state.store(ThreadState::kSleeping);
}

void cancel_sleep() {
    Thread& thread = current();
    thread.state.store(ThreadState::kRunnable);
    thread.interruptible_sleep.store(false);
}

namespace {

class WakeTimer final : public Timer {
  public:
    explicit WakeTimer(Thread& thread) : thread_(thread) {}
    void expire() override {
        expired.store(true);
        wake(thread_);
    }
    std::atomic<bool> expired{false};

  private:
    Thread& thread_;
};

// The body of sleep() without a deadline. True if it really left the processor or was woken before.
void block(Thread& thread) {
    Cpu& cpu = this_cpu();
    cpu.lock.lock();
    if (thread.state.load() == ThreadState::kRunnable) return cpu.lock.unlock();
    thread.voluntary_switches++;
    schedule_locked(cpu, false);
}

}  // namespace

Wake sleep(Nanoseconds deadline) {
    Thread& thread = current();
    bool interruptible = thread.interruptible_sleep.load();
    Wake outcome = Wake::kWoken;
    if (interruptible && thread.interrupt_pending.load()) {
        outcome = Wake::kInterrupted;
    } else if (deadline == core::kNever) {
        block(thread);
    } else if (deadline <= monotonic_ns()) {
        if (thread.state.load() == ThreadState::kSleeping) outcome = Wake::kTimeout;
    } else {
        WakeTimer timer(thread);
        timer.arm(deadline);
        block(thread);
        timer.cancel();
        if (timer.expired.load()) outcome = Wake::kTimeout;
    }
    cancel_sleep();
    if (outcome == Wake::kWoken && interruptible && thread.interrupt_pending.load()) outcome = Wake::kInterrupted;
    return outcome;
}

Wake sleep_until(Nanoseconds deadline, Interruptible interruptible) {
    prepare_sleep(interruptible);
    return sleep(deadline);
}

void exit_current() {
    Thread& thread = current();
    Cpu& cpu = this_cpu();
    cpu.lock.lock();
    thread.state.store(ThreadState::kDead);
    cpu.previous_dead = true;
    schedule_locked(cpu, false);
    PANIC("a dead thread ran again");
}

Result<void> set_affinity(Thread& thread, CpuMask mask) {
    if (!(mask & online.load())) return fail(Errno::kInval);
    thread.affinity = mask;
    if (mask & bit(thread.cpu)) return {};
    if (&thread == &current()) {
        // Leave: sleep and be woken where the mask allows (choose_cpu()), by way of a timer that is due at once.
        class Mover final : public Timer {
          public:
            explicit Mover(Thread& thread) : thread_(thread) {}
            void expire() override { wake(thread_); }
            Thread& thread_;
        } mover(thread);
        prepare_sleep(Interruptible::kNo);
        mover.arm(monotonic_ns() + 1);
        block(thread);
        cancel_sleep();
        mover.cancel();
    } else {
        // A waiting thread moves now, a running one at its next wake-up.
        unsigned home = thread.cpu;
        cpus[home].lock.lock();
        bool waiting = thread.cpu == home && thread.run_queue_hook.is_linked();
        if (waiting) {
            cpus[home].queue.dequeue(thread);
            thread.cpu = choose_cpu(thread);
        }
        cpus[home].lock.unlock();
        if (waiting) {
            core::SpinGuard guard(cpus[thread.cpu].lock);
            enqueue_locked(cpus[thread.cpu], thread.cpu, thread, RunQueue::Reason::kNew);
        }
    }
    return {};
}

void set_nice(Thread& thread, int nice) { thread.nice = nice < -20 ? -20 : nice > 19 ? 19 : nice; }

void poll_point() {
    arch::take_pending_interrupts();
    if (need_resched()) reschedule();
}

CpuMask online_cpus() { return online.load(); }
unsigned cpu_count() { return static_cast<unsigned>(__builtin_popcountll(online.load())); }

Result<void> initialize_processor(unsigned number) {
    auto idle = TRY(core::make_ref<Thread>());
    std::memcpy(idle->name, "idle", 5);
    idle->cpu = number;
    idle->affinity = bit(number);
    idle->state.store(ThreadState::kRunnable);
    idle->on_cpu.store(true);
    Cpu& cpu = cpus[number];
    cpu.idle = cpu.running = idle.release();
    arch::processor().current = cpu.idle;
    online.fetch_or(bit(number));
    return {};
}

void run_idle() {
    Cpu& cpu = this_cpu();
    unsigned self = arch::this_cpu();
    for (;;) {
        cpu.lock.lock();
        if (!cpu.queue.empty()) {
            schedule_locked(cpu, true);
            continue;
        }
        idle_mask.fetch_or(bit(self));
        cpu.lock.unlock();
        if (Thread* stolen = steal(self)) {
            while (stolen->on_cpu.load(std::memory_order_acquire)) core::spin_wait();
            core::SpinGuard guard(cpu.lock);
            cpu.queue.enqueue(*stolen, RunQueue::Reason::kNew);
            continue;
        }
        if (!need_resched()) arch::wait_for_interrupt();
        arch::processor().need_resched.store(false);
    }
}

void on_timer_interrupt(void*) {
    Nanoseconds now = monotonic_ns();
    Nanoseconds next = run_expired_timers(now);
    Cpu& cpu = this_cpu();
    Nanoseconds slice_end = cpu.slice_end;
    if (slice_end <= now) {
        kick(arch::this_cpu());
    } else if (slice_end < next) {
        next = slice_end;
    }
    program_timer(next);
}

// The need-reschedule flag was set by the sender; the interrupt only brings the processor into the kernel.
void on_reschedule_interrupt(void*) {}

Nanoseconds thread_cpu_ns(const Thread& thread) {
    Nanoseconds total = thread.run_total_ns;
    if (thread.on_cpu.load()) total += monotonic_ns() - thread.run_started_ns;
    return total;
}

}  // namespace sched
