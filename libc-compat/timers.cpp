// setitimer(2), alarm(2) and the timers of timer_create(2).
#include "process/timers.h"

#include "libc-compat/clocks.h"
#include "libc-compat/families.h"
#include "libc-compat/user_time.h"

namespace abi {

namespace {

using process::ProcessTimers;
using process::SignalTimer;
using process::TimerClock;

struct UserItimerval { UserTimeval interval, value; };
struct UserItimerspec { UserTimespec interval, value; };

UserItimerval to_itimerval(SignalTimer::Setting setting) {
    UserItimerval result{to_timeval(setting.interval), to_timeval(setting.value)};
    // Less than a microsecond to go is not "stopped".
    if (setting.value != 0 && result.value.seconds == 0 && result.value.microseconds == 0) {
        result.value.microseconds = 1;
    }
    return result;
}

Result<Nanoseconds> from_timeval(const UserTimeval& time) {
    if (time.seconds < 0 || time.microseconds < 0 || time.microseconds >= 1'000'000) return fail(Errno::kInval);
    return to_ns({time.seconds, time.microseconds * 1000});
}

Result<void> sys_getitimer(Context& context, int which, UserOut<UserItimerval> current) {
    if (which < 0 || which > 2) return fail(Errno::kInval);
    ProcessTimers* timers = TRY(process::timers_of(context.process()));
    SignalTimer::Setting setting;
    {
        core::SpinGuard guard(timers->lock);
        setting = timers->interval_timers[which].get();
    }
    return arch::copy_out(current, to_itimerval(setting));
}

Result<void> sys_setitimer(Context& context, int which, UserIn<UserItimerval> wanted, UserOut<UserItimerval> previous) {
    SignalTimer::Setting setting;
    if (!wanted.is_null()) {
        UserItimerval value = TRY(arch::copy_in(wanted));
        setting = {TRY(from_timeval(value.value)), TRY(from_timeval(value.interval))};
    }
    if (which < 0 || which > 2) return fail(Errno::kInval);
    ProcessTimers* timers = TRY(process::timers_of(context.process()));
    SignalTimer::Setting old;
    {
        core::SpinGuard guard(timers->lock);
        SignalTimer& timer = timers->interval_timers[which];
        old = timer.get();
        timer.set(setting);
    }
    if (previous.is_null()) return {};
    return arch::copy_out(previous, to_itimerval(old));
}

Result<uint32_t> sys_alarm(Context& context, uint32_t seconds) {
    ProcessTimers* timers = TRY(process::timers_of(context.process()));
    core::SpinGuard guard(timers->lock);
    SignalTimer& timer = timers->interval_timers[0];
    Nanoseconds left = timer.get().value;
    timer.set({uint64_t{seconds} * kNanosecondsPerSecond, 0});
    if (left == 0) return 0;
    // Rounded, but never to "none was set" (alarm(2)).
    auto rounded = static_cast<uint32_t>((left + kNanosecondsPerSecond / 2) / kNanosecondsPerSecond);
    return rounded ? rounded : 1;
}

// struct sigevent (include/uapi/asm-generic/siginfo.h), 64 bytes.
struct UserSigevent {
    uint64_t value;
    int32_t signal, notify, thread_id;
    int32_t padding[11];
};
static_assert(sizeof(UserSigevent) == 64);
constexpr int kSigevSignal = 0, kSigevNone = 1, kSigevThread = 2, kSigevThreadId = 4;
constexpr size_t kMostTimers = 1024;

Result<void> sys_timer_create(Context& context, int clock_id, UserIn<UserSigevent> event, UserOut<int32_t> id_address) {
    Clock clock = TRY(find_clock(context, clock_id));
    UserSigevent wanted{0, process::kSigAlrm, kSigevSignal, 0, {}};
    if (!event.is_null()) wanted = TRY(arch::copy_in(event));
    if (wanted.notify != kSigevSignal && wanted.notify != kSigevNone && wanted.notify != kSigevThread &&
        wanted.notify != (kSigevSignal | kSigevThreadId)) {
        return fail(Errno::kInval);
    }
    bool silent = wanted.notify == kSigevNone;
    if (!silent && (wanted.signal < 1 || wanted.signal > process::kSigMax)) return fail(Errno::kInval);
    if (clock.process && clock.process != context.thread.process) return fail(Errno::kOpNotSupp);
    if (wanted.notify & kSigevThreadId) {
        Ref<process::Thread> target = process::find_thread(wanted.thread_id);
        if (!target || target->process != context.thread.process) return fail(Errno::kInval);
    }
    ProcessTimers* timers = TRY(process::timers_of(context.process()));
    auto timer = TRY(core::make<SignalTimer>(context.process(), clock.kind, silent ? 0 : wanted.signal));
    timer->counted_thread = clock.thread;
    if (wanted.notify & kSigevThreadId) timer->target_thread = wanted.thread_id;
    int id;
    {
        core::SpinGuard guard(timers->lock);
        size_t slot = 0;
        while (slot < timers->posix_timers.size() && timers->posix_timers[slot]) slot++;
        if (slot == kMostTimers) return fail(Errno::kAgain);
        if (slot == timers->posix_timers.size()) TRY(timers->posix_timers.push_back(nullptr));
        id = static_cast<int>(slot);
        timer->timer_id = id;
        timer->signal_value = event.is_null() ? static_cast<uint64_t>(id) : wanted.value;
        timers->posix_timers[slot] = std::move(timer);
    }
    auto written = arch::copy_out(id_address, id);
    if (!written) {
        std::unique_ptr<SignalTimer> undone;
        core::SpinGuard guard(timers->lock);
        undone = std::move(timers->posix_timers[static_cast<size_t>(id)]);
    }
    return written;
}

// The timer with this id; the lock of `timers` is held. EINVAL.
Result<SignalTimer*> find_timer(ProcessTimers& timers, int id) {
    if (id < 0 || static_cast<size_t>(id) >= timers.posix_timers.size()) return fail(Errno::kInval);
    SignalTimer* timer = timers.posix_timers[static_cast<size_t>(id)].get();
    if (!timer) return fail(Errno::kInval);
    return timer;
}

UserItimerspec to_itimerspec(SignalTimer::Setting setting) {
    return {to_timespec(setting.interval), to_timespec(setting.value)};
}

constexpr int kTimerAbstime = 1;

Result<void> sys_timer_settime(Context& context, int id, int flags, UserIn<UserItimerspec> wanted,
                               UserOut<UserItimerspec> previous) {
    UserItimerspec value = TRY(arch::copy_in(wanted));
    if (!is_valid(value.value) || !is_valid(value.interval)) return fail(Errno::kInval);
    SignalTimer::Setting setting{to_ns(value.value), to_ns(value.interval)}, old;
    ProcessTimers* timers = TRY(process::timers_of(context.process()));
    {
        core::SpinGuard guard(timers->lock);
        SignalTimer* timer = TRY(find_timer(*timers, id));
        old = timer->get();
        if ((flags & kTimerAbstime) && setting.value != 0) {
            Nanoseconds now = timer->clock_now();
            if (timer->clock() == TimerClock::kRealtime) now += sched::realtime_offset_ns();
            setting.value = setting.value > now ? setting.value - now : 1;
        }
        timer->set(setting);
    }
    if (previous.is_null()) return {};
    return arch::copy_out(previous, to_itimerspec(old));
}

Result<void> sys_timer_gettime(Context& context, int id, UserOut<UserItimerspec> current) {
    ProcessTimers* timers = TRY(process::timers_of(context.process()));
    SignalTimer::Setting setting;
    {
        core::SpinGuard guard(timers->lock);
        setting = TRY(find_timer(*timers, id))->get();
    }
    return arch::copy_out(current, to_itimerspec(setting));
}

Result<int> sys_timer_getoverrun(Context& context, int id) {
    ProcessTimers* timers = TRY(process::timers_of(context.process()));
    core::SpinGuard guard(timers->lock);
    return TRY(find_timer(*timers, id))->overrun();
}

Result<void> sys_timer_delete(Context& context, int id) {
    ProcessTimers* timers = TRY(process::timers_of(context.process()));
    std::unique_ptr<SignalTimer> gone;
    {
        core::SpinGuard guard(timers->lock);
        TRY(find_timer(*timers, id))->stop();
        gone = std::move(timers->posix_timers[static_cast<size_t>(id)]);
    }
    return {};
}

constexpr SystemCall kCalls[] = {
    CALL(36, getitimer, "which, curr_value"),
    CALL(37, alarm, "seconds"),
    CALL(38, setitimer, "which, new_value, old_value", "ITIMER_VIRTUAL counts system time too"),
    CALL(222, timer_create, "clockid, sevp, timerid"),
    CALL(223, timer_settime, "timerid, flags, new_value, old_value"),
    CALL(224, timer_gettime, "timerid, curr_value"),
    CALL(225, timer_getoverrun, "timerid", "counts late expirations, not those of a signal still pending"),
    CALL(226, timer_delete, "timerid"),
};

}  // namespace

const SystemCallFamily kTimerFamily{"timers", kCalls};

}  // namespace abi
