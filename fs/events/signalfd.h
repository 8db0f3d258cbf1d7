// signalfd(2): signals as something to read. Reading and polling concern the process that does it, not the one that
// made the file, as in Linux.
#pragma once

#include "core/intrusive.h"
#include "fs/events/anonymous_file.h"

namespace fs {

class SignalFd final : public AnonymousFile {
  public:
    static const char kKind[];
    // Bit n-1 is signal n; SIGKILL and SIGSTOP are never taken.
    SignalFd(uint64_t signals, uint32_t flags);
    ~SignalFd() override;
    static SignalFd* of(File& file) { return file.kind() == kKind ? static_cast<SignalFd*>(&file) : nullptr; }
    void set_signals(uint64_t signals);

    Result<size_t> read(Destination& destination, uint64_t* offset) override;
    uint32_t poll(PollRegistrar* registrar) override;
    const char* kind() const override { return kKind; }
    Result<void> append_info(core::String& text) override;

    // All open signalfds (fs/events/signalfd.cpp).
    core::ListHook hook;
    void signal_arrived(int signal);

  private:
    std::atomic<uint64_t> signals_;
    sched::WaitQueue readers_;
};

}  // namespace fs
