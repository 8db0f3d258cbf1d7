// Clocks and sleeping: clock_gettime(2), nanosleep(2) and their relatives.
#include "libc-compat/clocks.h"
#include "libc-compat/families.h"
#include "libc-compat/user_time.h"
#include "libc-compat/vdso_map.h"
#include "process/usage.h"

namespace abi {

Result<Clock> find_clock(Context& context, int clock_id) {
    using process::TimerClock;
    if (clock_id < 0) {
        // A dynamic clock: ~pid << 3 | 4 (thread) | 2 (CPU time); include/linux/posix-timers.h.
        int pid = ~(clock_id >> 3);
        if ((clock_id & 3) != 2) return fail(Errno::kInval);
        if (clock_id & 4) {
            Ref<process::Thread> thread(pid == 0 ? &context.thread : nullptr);
            if (pid != 0) thread = process::find_thread(pid);
            if (!thread || thread->process != context.thread.process) return fail(Errno::kInval);
            return Clock{TimerClock::kThreadCpu, nullptr, thread};
        }
        Ref<process::Process> owner(pid == 0 ? context.thread.process : nullptr);
        if (pid != 0) owner = process::find_process(pid);
        if (!owner) return fail(Errno::kInval);
        return Clock{TimerClock::kProcessCpu, owner, nullptr};
    }
    switch (clock_id) {
        case kClockRealtime: case kClockRealtimeCoarse: case kClockRealtimeAlarm: case kClockTai:
            return Clock{TimerClock::kRealtime, nullptr, nullptr};
        case kClockMonotonic: case kClockMonotonicRaw: case kClockMonotonicCoarse: case kClockBoottime:
        case kClockBoottimeAlarm:
            return Clock{TimerClock::kMonotonic, nullptr, nullptr};
        case kClockProcessCpu:
            return Clock{TimerClock::kProcessCpu, Ref<process::Process>(context.thread.process), nullptr};
        case kClockThreadCpu: return Clock{TimerClock::kThreadCpu, nullptr, Ref<process::Thread>(&context.thread)};
        default: return fail(Errno::kInval);
    }
}

Nanoseconds read_clock(const Clock& clock) {
    switch (clock.kind) {
        case process::TimerClock::kRealtime: return sched::monotonic_ns() + sched::realtime_offset_ns();
        case process::TimerClock::kMonotonic: return sched::monotonic_ns();
        case process::TimerClock::kProcessCpu: return process::cpu_time_of(*clock.process);
        case process::TimerClock::kThreadCpu: return sched::thread_cpu_ns(*clock.thread);
    }
    return 0;
}

namespace {

constexpr Nanoseconds kCoarseResolution = 4'000'000;

Result<void> sys_clock_gettime(Context& context, int clock_id, UserOut<UserTimespec> time) {
    Clock clock = TRY(find_clock(context, clock_id));
    return arch::copy_out(time, to_timespec(read_clock(clock)));
}

Result<void> sys_clock_getres(Context& context, int clock_id, UserOut<UserTimespec> resolution) {
    TRY(find_clock(context, clock_id));
    if (resolution.is_null()) return {};
    bool coarse = clock_id == kClockRealtimeCoarse || clock_id == kClockMonotonicCoarse;
    return arch::copy_out(resolution, to_timespec(coarse ? kCoarseResolution : 1));
}

Result<void> set_wall_clock(Context& context, Nanoseconds time) {
    if (!context.credentials().has_capability(process::kCapSysTime)) return fail(Errno::kPerm);
    // Before boot there was no time on the monotonic clock.
    if (time < sched::monotonic_ns()) return fail(Errno::kInval);
    sched::set_realtime(time);
    update_vdso();
    return {};
}

Result<void> sys_clock_settime(Context& context, int clock_id, UserIn<UserTimespec> time) {
    Clock clock = TRY(find_clock(context, clock_id));
    Nanoseconds value = TRY(read_timespec(time));
    if (clock_id != kClockRealtime) return fail(Errno::kInval);
    return set_wall_clock(context, value);
}

struct TimeZone { int32_t minutes_west, dst_time; };

Result<void> sys_gettimeofday(Context&, UserOut<UserTimeval> time, UserOut<TimeZone> zone) {
    if (!time.is_null()) TRY(arch::copy_out(time, to_timeval(sched::monotonic_ns() + sched::realtime_offset_ns())));
    if (!zone.is_null()) TRY(arch::copy_out(zone, TimeZone{0, 0}));
    return {};
}

Result<void> sys_settimeofday(Context& context, UserIn<UserTimeval> time, UserIn<TimeZone> zone) {
    if (time.is_null()) return {};
    UserTimeval value = TRY(arch::copy_in(time));
    if (value.seconds < 0 || value.microseconds < 0 || value.microseconds >= 1'000'000) return fail(Errno::kInval);
    return set_wall_clock(context, to_ns({value.seconds, value.microseconds * 1000}));
}

Result<int64_t> sys_time(Context&, UserOut<int64_t> time) {
    auto seconds = static_cast<int64_t>((sched::monotonic_ns() + sched::realtime_offset_ns()) / kNanosecondsPerSecond);
    if (!time.is_null()) TRY(arch::copy_out(time, seconds));
    return seconds;
}

// Sleeps until `deadline`; kRestartSys after a signal.
Result<void> sleep_to(Nanoseconds deadline) {
    for (;;) {
        switch (sched::sleep_until(deadline, sched::Interruptible::kYes)) {
            case sched::Wake::kTimeout: return {};
            case sched::Wake::kInterrupted: return fail(Errno::kRestartSys);
            case sched::Wake::kWoken: break;
        }
    }
}

Result<void> write_remaining(uint64_t address, Nanoseconds deadline) {
    if (address == 0) return {};
    Nanoseconds now = sched::monotonic_ns();
    return arch::copy_out(UserOut<UserTimespec>(address), to_timespec(deadline > now ? deadline - now : 0));
}

Result<int64_t> resume_sleep(process::Thread& thread, process::RestartBlock& block) {
    if (sleep_to(block.arguments[0])) return 0;
    TRY(write_remaining(block.arguments[1], block.arguments[0]));
    return fail(Errno::kRestartBlock);
}

// A relative sleep: after a signal it goes on to the same deadline, or ends with the time that is left.
Result<void> sleep_relative(Context& context, Nanoseconds duration, uint64_t remaining) {
    Nanoseconds deadline = deadline_after(duration);
    if (sleep_to(deadline)) return {};
    TRY(write_remaining(remaining, deadline));
    context.thread.restart = {resume_sleep, {deadline, remaining}};
    return fail(Errno::kRestartBlock);
}

Result<void> sys_nanosleep(Context& context, UserIn<UserTimespec> duration, UserOut<UserTimespec> remaining) {
    return sleep_relative(context, TRY(read_timespec(duration)), remaining.address().value());
}

constexpr int kTimerAbstime = 1;

Result<void> sys_clock_nanosleep(Context& context, int clock_id, int flags, UserIn<UserTimespec> time,
                                 UserOut<UserTimespec> remaining) {
    Clock clock = TRY(find_clock(context, clock_id));
    if (clock.kind == process::TimerClock::kThreadCpu) return fail(Errno::kInval);
    if (clock.kind == process::TimerClock::kProcessCpu) return fail(Errno::kOpNotSupp);
    Nanoseconds value = TRY(read_timespec(time));
    if (!(flags & kTimerAbstime)) return sleep_relative(context, value, remaining.address().value());
    if (clock.kind == process::TimerClock::kRealtime) value = realtime_to_monotonic(value);
    auto slept = sleep_to(value);
    // An absolute sleep is simply made again.
    return slept ? slept : fail(Errno::kRestartNoHandler);
}

struct Tms { int64_t user, system, children_user, children_system; };

Result<int64_t> sys_times(Context& context, UserOut<Tms> buffer) {
    if (!buffer.is_null()) {
        process::Process& self = context.process();
        process::Usage own = process::usage_of(self);
        const process::Usage& children = self.children_usage;
        auto ticks = [](Nanoseconds ns) { return static_cast<int64_t>(ns / process::kNanosecondsPerTick); };
        TRY(arch::copy_out(buffer, Tms{ticks(own.user_ns), ticks(own.system_ns), ticks(children.user_ns),
                                       ticks(children.system_ns)}));
    }
    return static_cast<int64_t>(sched::monotonic_ns() / process::kNanosecondsPerTick);
}

// struct timex (adjtimex(2)). No clock discipline: the clock is what the machine gives, and never synchronised.
struct UserTimex {
    uint32_t modes, padding0;
    int64_t offset, frequency, maximum_error, estimated_error;
    int32_t status, padding1;
    int64_t constant, precision, tolerance;
    UserTimeval time;
    int64_t tick, pps_frequency, jitter;
    int32_t shift, padding2;
    int64_t stability, jitter_count, calibration_count, error_count, stability_count;
    int32_t tai, reserved[11];
};
static_assert(sizeof(UserTimex) == 208);

Result<int> sys_adjtimex(Context& context, UserOut<UserTimex> address) {
    constexpr int kTimeError = 5, kUnsynchronised = 0x40;
    UserTimex time = TRY(arch::copy_in(UserIn<UserTimex>(address)));
    if (time.modes) {
        bool allowed = context.credentials().has_capability(process::kCapSysTime);
        return fail(allowed ? Errno::kInval : Errno::kPerm);
    }
    time = {};
    time.maximum_error = time.estimated_error = 16'000'000;
    time.status = kUnsynchronised;
    time.constant = 2;
    time.precision = 1;
    time.tolerance = 32'768'000;
    time.tick = 10'000;
    time.time = to_timeval(sched::monotonic_ns() + sched::realtime_offset_ns());
    TRY(arch::copy_out(address, time));
    return kTimeError;
}

constexpr SystemCall kCalls[] = {
    CALL(35, nanosleep, "req, rem"),
    CALL(96, gettimeofday, "tv, tz"),
    CALL(100, times, "buf"),
    CALL(159, adjtimex, "buf", "reads only: changes are refused with EINVAL"),
    CALL(164, settimeofday, "tv, tz", "the time zone is ignored"),
    CALL(201, time, "tloc"),
    CALL(227, clock_settime, "clockid, tp"),
    CALL(228, clock_gettime, "clockid, tp"),
    CALL(229, clock_getres, "clockid, res"),
    CALL(230, clock_nanosleep, "clockid, flags, request, remain"),
};

}  // namespace

const SystemCallFamily kTimeFamily{"clocks and sleeping", kCalls};

}  // namespace abi
