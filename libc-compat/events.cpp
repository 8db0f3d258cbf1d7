// epoll(7), eventfd(2), timerfd_create(2), signalfd(2), memfd_create(2).
#include <climits>

#include "arch/x86_64/user_copy.h"
#include "fs/events/epoll.h"
#include "fs/events/eventfd.h"
#include "fs/events/memfd.h"
#include "fs/events/signalfd.h"
#include "fs/events/timerfd.h"
#include "libc-compat/families.h"
#include "libc-compat/user_time.h"
#include "process/signal.h"

namespace abi {

namespace {

Result<int> install(Context& context, Ref<fs::File> file, bool close_on_exec) {
    return context.files().install(std::move(file), close_on_exec ? fs::CloseOnExec::kYes : fs::CloseOnExec::kNo,
                                   context.limit(process::kLimitNoFile));
}

Result<int> sys_epoll_create1(Context& context, int flags) {
    if (static_cast<uint32_t>(flags) & ~fs::kOCloExec) return fail(Errno::kInval);
    return install(context, TRY(fs::Epoll::create()), flags & fs::kOCloExec);
}

Result<int> sys_epoll_create(Context& context, int size) {
    if (size <= 0) return fail(Errno::kInval);
    return sys_epoll_create1(context, 0);
}

Result<int> sys_epoll_ctl(Context& context, int epfd, int operation, int fd, UserIn<fs::EpollEvent> user_event) {
    constexpr int kAdd = 1, kDelete = 2, kModify = 3;
    fs::EpollEvent event{};
    if (operation != kDelete) event = TRY(arch::copy_in(user_event));
    auto instance = TRY(context.file(epfd));
    auto target = TRY(context.file(fd));
    if (!target->pollable()) return fail(Errno::kPerm);
    fs::Epoll* epoll = fs::Epoll::of(*instance);
    if (!epoll || target == instance) return fail(Errno::kInval);
    switch (operation) {
        case kAdd: TRY(epoll->add(*target, fd, event)); return 0;
        case kDelete: TRY(epoll->remove(*target, fd)); return 0;
        case kModify: TRY(epoll->modify(*target, fd, event)); return 0;
        default: return fail(Errno::kInval);
    }
}

[[gnu::always_inline]] inline Result<size_t> wait_for_events(Context& context, int epfd, UserOut<fs::EpollEvent> events,
                                                             int capacity, Nanoseconds deadline) {
    if (capacity <= 0 || static_cast<size_t>(capacity) > INT_MAX / sizeof(fs::EpollEvent)) return fail(Errno::kInval);
    if (events.address().value() + static_cast<size_t>(capacity) * sizeof(fs::EpollEvent) > core::kUserEnd) {
        return fail(Errno::kFault);
    }
    auto file = TRY(context.use_file(epfd));
    fs::Epoll* epoll = fs::Epoll::of(*file);
    if (!epoll) return fail(Errno::kInval);
    return epoll->wait(events, static_cast<size_t>(capacity), deadline);
}

Nanoseconds deadline_of(int timeout_ms) {
    return timeout_ms < 0 ? core::kNever : poll_deadline(static_cast<Nanoseconds>(timeout_ms) * 1'000'000);
}

Result<size_t> sys_epoll_wait(Context& context, int epfd, UserOut<fs::EpollEvent> events, int capacity, int timeout_ms) {
    return wait_for_events(context, epfd, events, capacity, deadline_of(timeout_ms));
}

Result<void> apply_mask(Context& context, UserIn<process::SignalSet> mask, size_t size) {
    if (mask.is_null()) return {};
    if (size != sizeof(process::SignalSet)) return fail(Errno::kInval);
    process::set_temporary_mask(context.thread, TRY(arch::copy_in(mask)));
    return {};
}

Result<size_t> sys_epoll_pwait(Context& context, int epfd, UserOut<fs::EpollEvent> events, int capacity, int timeout_ms,
                               UserIn<process::SignalSet> mask, size_t mask_size) {
    TRY(apply_mask(context, mask, mask_size));
    return wait_for_events(context, epfd, events, capacity, deadline_of(timeout_ms));
}

Result<size_t> sys_epoll_pwait2(Context& context, int epfd, UserOut<fs::EpollEvent> events, int capacity,
                                UserIn<UserTimespec> timeout, UserIn<process::SignalSet> mask, size_t mask_size) {
    Nanoseconds deadline = core::kNever;
    if (!timeout.is_null()) deadline = poll_deadline(TRY(read_timespec(timeout)));
    TRY(apply_mask(context, mask, mask_size));
    return wait_for_events(context, epfd, events, capacity, deadline);
}

Result<int> sys_eventfd2(Context& context, uint32_t count, int flags) {
    constexpr uint32_t kSemaphore = 1;
    auto bits = static_cast<uint32_t>(flags);
    if (bits & ~(kSemaphore | fs::kOCloExec | fs::kONonBlock)) return fail(Errno::kInval);
    auto mode = bits & kSemaphore ? fs::EventFd::Mode::kSemaphore : fs::EventFd::Mode::kCounter;
    return install(context, TRY(core::make_ref<fs::EventFd>(count, mode, bits & fs::kONonBlock)), bits & fs::kOCloExec);
}

Result<int> sys_eventfd(Context& context, uint32_t count) { return sys_eventfd2(context, count, 0); }

struct UserTimerSetting {
    UserTimespec interval, value;
};
UserTimerSetting to_user(fs::TimerFd::Setting setting) {
    return {to_timespec(setting.interval), to_timespec(setting.value)};
}

Result<int> sys_timerfd_create(Context& context, int clock, int flags) {
    constexpr int kRealTime = 0, kMonotonic = 1, kBootTime = 7, kRealTimeAlarm = 8, kBootTimeAlarm = 9;
    auto bits = static_cast<uint32_t>(flags);
    if (bits & ~(fs::kOCloExec | fs::kONonBlock)) return fail(Errno::kInval);
    if (clock != kRealTime && clock != kMonotonic && clock != kBootTime && clock != kRealTimeAlarm &&
        clock != kBootTimeAlarm) {
        return fail(Errno::kInval);
    }
    bool alarm = clock == kRealTimeAlarm || clock == kBootTimeAlarm;
    if (alarm && context.credentials().euid != 0) return fail(Errno::kPerm);  // CAP_WAKE_ALARM
    auto kind = clock == kRealTime || clock == kRealTimeAlarm ? fs::TimerFd::Clock::kRealTime
                                                              : fs::TimerFd::Clock::kMonotonic;
    return install(context, TRY(core::make_ref<fs::TimerFd>(kind, clock, bits & fs::kONonBlock)), bits & fs::kOCloExec);
}

Result<int> sys_timerfd_settime(Context& context, int fd, int flags, UserIn<UserTimerSetting> user_new,
                                UserOut<UserTimerSetting> user_old) {
    constexpr int kAbsolute = 1, kCancelOnSet = 2;
    auto setting = TRY(arch::copy_in(user_new));
    if (flags & ~(kAbsolute | kCancelOnSet)) return fail(Errno::kInval);
    fs::TimerFd::Setting wanted{TRY(to_nanoseconds(setting.value)), TRY(to_nanoseconds(setting.interval))};
    auto file = TRY(context.file(fd));
    fs::TimerFd* timer = fs::TimerFd::of(*file);
    if (!timer) return fail(Errno::kInval);
    auto old = timer->set(wanted, flags & kAbsolute);
    if (!user_old.is_null()) TRY(arch::copy_out(user_old, to_user(old)));
    return 0;
}

Result<int> sys_timerfd_gettime(Context& context, int fd, UserOut<UserTimerSetting> user_setting) {
    auto file = TRY(context.file(fd));
    fs::TimerFd* timer = fs::TimerFd::of(*file);
    if (!timer) return fail(Errno::kInval);
    TRY(arch::copy_out(user_setting, to_user(timer->get())));
    return 0;
}

Result<int> sys_signalfd4(Context& context, int fd, UserIn<uint64_t> mask, size_t size, int flags) {
    auto bits = static_cast<uint32_t>(flags);
    if (size != sizeof(uint64_t)) return fail(Errno::kInval);
    uint64_t signals = TRY(arch::copy_in(mask));
    if (bits & ~(fs::kOCloExec | fs::kONonBlock)) return fail(Errno::kInval);
    if (fd == -1) {
        return install(context, TRY(core::make_ref<fs::SignalFd>(signals, bits & fs::kONonBlock)), bits & fs::kOCloExec);
    }
    auto file = TRY(context.file(fd));
    fs::SignalFd* signal_file = fs::SignalFd::of(*file);
    if (!signal_file) return fail(Errno::kInval);
    signal_file->set_signals(signals);
    return fd;
}

Result<int> sys_signalfd(Context& context, int fd, UserIn<uint64_t> mask, size_t size) {
    return sys_signalfd4(context, fd, mask, size, 0);
}

Result<int> sys_memfd_create(Context& context, UserIn<char> user_name, uint32_t flags) {
    constexpr uint32_t kCloseOnExec = 1, kAllowSealing = 2;
    if (flags & ~(kCloseOnExec | kAllowSealing)) return fail(Errno::kInval);
    char name[fs::kMemfdNameMax + 1];
    auto length = arch::copy_in_string(name, user_name.address(), sizeof name);
    if (!length) return fail(length.error() == Errno::kNameTooLong ? Errno::kInval : length.error());
    auto sealing = flags & kAllowSealing ? fs::Sealing::kAllowed : fs::Sealing::kRefused;
    auto file = TRY(fs::create_memfd({name, *length}, sealing, context.credentials().fsuid, context.credentials().fsgid));
    return install(context, std::move(file), flags & kCloseOnExec);
}

constexpr SystemCall kEventCalls[] = {
    CALL(213, epoll_create, "size"),
    CALL(232, epoll_wait, "epfd, events, maxevents, timeout"),
    CALL(233, epoll_ctl, "epfd, op, fd, event"),
    CALL(281, epoll_pwait, "epfd, events, maxevents, timeout, sigmask, sigsetsize"),
    CALL(282, signalfd, "fd, mask, sizemask"),
    CALL(283, timerfd_create, "clockid, flags"),
    CALL(284, eventfd, "initval"),
    CALL(286, timerfd_settime, "fd, flags, new_value, old_value",
         "TFD_TIMER_CANCEL_ON_SET is accepted; setting the clock cancels nothing"),
    CALL(287, timerfd_gettime, "fd, curr_value"),
    CALL(289, signalfd4, "fd, mask, sizemask, flags"),
    CALL(290, eventfd2, "initval, flags"),
    CALL(291, epoll_create1, "flags"),
    CALL(319, memfd_create, "name, flags", "MFD_HUGETLB is EINVAL"),
    CALL(441, epoll_pwait2, "epfd, events, maxevents, timeout, sigmask, sigsetsize"),
};

}  // namespace

const SystemCallFamily kEventFamily{"event files", kEventCalls};

}  // namespace abi
