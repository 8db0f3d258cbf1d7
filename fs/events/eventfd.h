// eventfd(2): a counter to wait for.
#pragma once

#include "fs/events/anonymous_file.h"

namespace fs {

class EventFd final : public AnonymousFile {
  public:
    enum class Mode : bool { kCounter, kSemaphore };
    EventFd(uint64_t count, Mode mode, uint32_t flags)
        : AnonymousFile(flags | kORdWr, "[eventfd]"), count_(count), mode_(mode) {}

    Result<size_t> read(Destination& destination, uint64_t* offset) override;
    Result<size_t> write(Source& source, uint64_t* offset) override;
    uint32_t poll(PollRegistrar* registrar) override;
    Result<void> append_info(core::String& text) override;

  private:
    core::Spinlock lock_{core::Rank::kPipe};
    uint64_t count_;
    const Mode mode_;
    sched::WaitQueue readers_, writers_;
};

}  // namespace fs
