#include "fs/events/eventfd.h"

#include "core/log.h"

namespace fs {

namespace {
constexpr uint64_t kMaximum = ~uint64_t{0};  // a value that the counter never holds after a write
}

Result<size_t> EventFd::read(Destination& destination, uint64_t*) {
    if (destination.remaining() < sizeof(uint64_t)) return fail(Errno::kInval);
    uint64_t value;
    {
        core::SpinGuard guard(lock_);
        while (count_ == 0) {
            if (non_blocking()) return fail(Errno::kAgain);
            auto wake = readers_.wait(guard, lock_, core::kNever, sched::Interruptible::kYes, true);
            if (wake == sched::Wake::kInterrupted && count_ == 0) return fail(Errno::kRestartSys);
        }
        value = mode_ == Mode::kSemaphore ? 1 : count_;
        count_ -= value;
        bool more = count_ > 0;
        guard.unlock();
        if (more) readers_.wake_one(kPollIn | kPollRdNorm);
        writers_.wake_all(kPollOut | kPollWrNorm);
    }
    TRY(destination.put(&value, sizeof value));
    return sizeof value;
}

Result<size_t> EventFd::write(Source& source, uint64_t*) {
    if (source.remaining() < sizeof(uint64_t)) return fail(Errno::kInval);
    uint64_t value;
    TRY(source.take(&value, sizeof value));
    if (value == kMaximum) return fail(Errno::kInval);
    core::SpinGuard guard(lock_);
    while (kMaximum - count_ <= value) {
        if (non_blocking()) return fail(Errno::kAgain);
        auto wake = writers_.wait(guard, lock_, core::kNever, sched::Interruptible::kYes);
        if (wake == sched::Wake::kInterrupted && kMaximum - count_ <= value) return fail(Errno::kRestartSys);
    }
    count_ += value;
    bool readable = count_ > 0;
    guard.unlock();
    if (readable) readers_.wake_one(kPollIn | kPollRdNorm);
    return sizeof value;
}

uint32_t EventFd::poll(PollRegistrar* registrar) {
    if (registrar) {
        registrar->watch(readers_);
        registrar->watch(writers_);
    }
    core::SpinGuard guard(lock_);
    uint32_t events = 0;
    if (count_ > 0) events |= kPollIn;
    if (count_ == kMaximum) events |= kPollErr;
    if (count_ < kMaximum - 1) events |= kPollOut;
    return events;
}

Result<void> EventFd::append_info(core::String& text) {
    uint64_t count;
    {
        core::SpinGuard guard(lock_);
        count = count_;
    }
    char line[40];
    return text.append(klog::format(line, sizeof line, "eventfd-count: {:x}\n", count));
}

}  // namespace fs
