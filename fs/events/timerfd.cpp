#include "fs/events/timerfd.h"

#include "core/log.h"

namespace fs {

const char TimerFd::kKind[] = "timerfd";

// A periodic timer rings once and is set again when its ticks are read, as in Linux: a timer that nobody reads costs
// no interrupts. What it would have counted meanwhile is computed.
void TimerFd::catch_up_locked(Nanoseconds now) {
    if (ticks_ == 0 || interval_ == 0 || next_ > now) return;
    uint64_t periods = (now - next_) / interval_ + 1;
    ticks_ += periods;
    next_ += periods * interval_;
}

TimerFd::Setting TimerFd::current_locked(Nanoseconds now) {
    Setting setting{0, interval_};
    if (next_ != core::kNever) setting.value = next_ > now ? next_ - now : 1;
    return setting;
}

void TimerFd::expire() {
    Nanoseconds now = sched::monotonic_ns();
    {
        core::SpinGuard guard(lock_);
        if (next_ > now) return;  // set again meanwhile
        ticks_++;
        if (interval_ > 0) next_ += interval_;
        else next_ = core::kNever;
    }
    readers_.wake_all(kPollIn);
}

TimerFd::Setting TimerFd::set(Setting setting, bool absolute) {
    cancel();
    Nanoseconds now = sched::monotonic_ns();
    core::SpinGuard guard(lock_);
    catch_up_locked(now);
    Setting old = current_locked(now);
    ticks_ = 0;
    interval_ = setting.interval;
    next_ = core::kNever;
    if (setting.value != 0) {
        Nanoseconds start = absolute ? 0 : now;
        Nanoseconds offset = absolute && clock_ == Clock::kRealTime ? sched::realtime_offset_ns() : 0;
        Nanoseconds value = setting.value > offset ? setting.value - offset : 1;
        next_ = value < core::kNever - 1 - start ? start + value : core::kNever - 1;
        arm(next_);
    }
    return old;
}

TimerFd::Setting TimerFd::get() {
    Nanoseconds now = sched::monotonic_ns();
    core::SpinGuard guard(lock_);
    if (ticks_ > 0 && interval_ > 0) {
        catch_up_locked(now);
        arm(next_);
    }
    return current_locked(now);
}

Result<size_t> TimerFd::read(Destination& destination, uint64_t*) {
    if (destination.remaining() < sizeof(uint64_t)) return fail(Errno::kInval);
    uint64_t ticks;
    {
        core::SpinGuard guard(lock_);
        while (ticks_ == 0) {
            if (non_blocking()) return fail(Errno::kAgain);
            auto wake = readers_.wait(guard, lock_, core::kNever, sched::Interruptible::kYes);
            if (wake == sched::Wake::kInterrupted && ticks_ == 0) return fail(Errno::kRestartSys);
        }
        catch_up_locked(sched::monotonic_ns());
        ticks = std::exchange(ticks_, 0);
        if (interval_ > 0) arm(next_);
    }
    TRY(destination.put(&ticks, sizeof ticks));
    return sizeof ticks;
}

uint32_t TimerFd::poll(PollRegistrar* registrar) {
    if (registrar) registrar->watch(readers_);
    core::SpinGuard guard(lock_);
    return ticks_ > 0 ? kPollIn : 0;
}

Result<void> TimerFd::append_info(core::String& text) {
    Setting setting = get();
    uint64_t ticks;
    {
        core::SpinGuard guard(lock_);
        ticks = ticks_;
    }
    char line[160];
    return text.append(klog::format(line, sizeof line,
                                    "clockid: {}\nticks: {}\nsettime flags: 00\nit_value: ({}, {})\nit_interval: ({}, {})\n",
                                    clock_id_, ticks, setting.value / 1'000'000'000, setting.value % 1'000'000'000,
                                    setting.interval / 1'000'000'000, setting.interval % 1'000'000'000));
}

}  // namespace fs
