#include "process/timers.h"

#include "process/usage.h"

namespace process {

namespace {

// A CPU-time timer looks again no sooner than this: threads of the process on other processors may make the clock
// run faster than time.
constexpr Nanoseconds kCpuCheckNs = 1'000'000;

}  // namespace

Nanoseconds SignalTimer::clock_now() const {
    switch (clock_) {
        case TimerClock::kProcessCpu: return cpu_time_of(process_);
        case TimerClock::kThreadCpu: return sched::thread_cpu_ns(*counted_thread);
        default: return sched::monotonic_ns();
    }
}

void SignalTimer::arm_for(Nanoseconds remaining) {
    if (counts_cpu_time()) {
        remaining /= sched::cpu_count();
        if (remaining < kCpuCheckNs) remaining = kCpuCheckNs;
    }
    Nanoseconds now = sched::monotonic_ns();
    arm(remaining >= core::kNever - 1 - now ? core::kNever - 1 : now + remaining);
}

void SignalTimer::set(Setting setting) {
    cancel();
    interval_.store(setting.interval);
    overrun_.store(0);
    if (setting.value == 0) return next_.store(0);
    Nanoseconds now = clock_now();
    next_.store(setting.value >= core::kNever - 1 - now ? core::kNever - 1 : now + setting.value);
    arm_for(setting.value);
}

SignalTimer::Setting SignalTimer::get() const {
    Nanoseconds next = next_.load();
    if (next == 0) return {0, interval_.load()};
    Nanoseconds now = clock_now();
    return {next > now ? next - now : 1, interval_.load()};
}

void SignalTimer::stop() {
    cancel();
    next_.store(0);
    interval_.store(0);
}

void SignalTimer::send() {
    if (signal_ == 0) return;
    SignalInfo info = simple_signal(signal_);
    if (timer_id >= 0) {
        info.code = kSiTimer;
        info.timer.timer_id = timer_id;
        info.timer.overrun = overrun_.load();
        info.timer.value = signal_value;
    }
    if (target_thread == 0) return send_signal(process_, info);
    if (Ref<Thread> thread = find_thread(target_thread); thread && thread->process == &process_) {
        send_signal(*thread, info);
    }
}

void SignalTimer::expire() {
    Nanoseconds next = next_.load(), now = clock_now();
    if (next == 0) return;
    if (now < next) return arm_for(next - now);  // CPU time: not used up yet
    Nanoseconds interval = interval_.load();
    if (interval == 0) {
        next_.store(0);
        overrun_.store(0);
    } else {
        Nanoseconds missed = (now - next) / interval;
        overrun_.store(missed > INT32_MAX ? INT32_MAX : static_cast<int>(missed));
        next += (missed + 1) * interval;
        next_.store(next);
    }
    send();
    if (interval != 0) arm_for(next - now);
}

ProcessTimers::ProcessTimers(Process& process)
    : interval_timers{{process, TimerClock::kMonotonic, kSigAlrm},
                      {process, TimerClock::kProcessCpu, kSigVtAlrm},
                      {process, TimerClock::kProcessCpu, kSigProf}},
      cpu_limit(process) {}

void ProcessTimers::delete_posix_timers() {
    core::Vector<std::unique_ptr<SignalTimer>> gone;
    {
        core::SpinGuard guard(lock);
        for (auto& timer : posix_timers) {
            if (timer) timer->stop();
        }
        gone = std::move(posix_timers);
    }
}

void ProcessTimers::stop_all() {
    for (SignalTimer& timer : interval_timers) timer.stop();
    cpu_limit.cancel();
    delete_posix_timers();
}

Result<ProcessTimers*> timers_of(Process& process) {
    static core::Spinlock creation(core::Rank::kProcess);
    if (!process.timers) {
        auto made = TRY(core::make<ProcessTimers>(process));
        core::SpinGuard guard(creation);
        if (!process.timers) process.timers = std::move(made);
    }
    return process.timers.get();
}

}  // namespace process
