// timerfd(2): a timer to wait for.
#pragma once

#include "fs/events/anonymous_file.h"
#include "sched/timer.h"

namespace fs {

class TimerFd final : public AnonymousFile, private sched::Timer {
  public:
    static const char kKind[];
    enum class Clock : uint8_t { kMonotonic, kRealTime };
    struct Setting { Nanoseconds value = 0, interval = 0; };  // relative; value 0: disarmed

    TimerFd(Clock clock, int clock_id, uint32_t flags)
        : AnonymousFile(flags | kORdWr, "[timerfd]"), clock_(clock), clock_id_(clock_id) {}
    ~TimerFd() override { cancel(); }
    static TimerFd* of(File& file) { return file.kind() == kKind ? static_cast<TimerFd*>(&file) : nullptr; }

    // Arms (value 0: disarms) and returns the old setting. `absolute`: the value is a time of the clock.
    Setting set(Setting setting, bool absolute);
    Setting get();

    Result<size_t> read(Destination& destination, uint64_t* offset) override;
    uint32_t poll(PollRegistrar* registrar) override;
    const char* kind() const override { return kKind; }
    Result<void> append_info(core::String& text) override;

  private:
    void expire() override;
    Setting current_locked(Nanoseconds now);
    void catch_up_locked(Nanoseconds now);

    core::Spinlock lock_{core::Rank::kPipe};
    const Clock clock_;
    const int clock_id_;
    Nanoseconds next_ = core::kNever;  // on the monotonic clock; kNever: disarmed
    Nanoseconds interval_ = 0;
    uint64_t ticks_ = 0;  // expirations not read yet
    sched::WaitQueue readers_;
};

}  // namespace fs
