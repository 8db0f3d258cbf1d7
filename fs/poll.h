// Readiness: how poll, select and epoll watch files.
#pragma once

#include <cstdint>

#include "sched/wait_queue.h"

namespace fs {

// poll(2) bits, equal to EPOLL*'s.
inline constexpr uint32_t kPollIn = 0x001, kPollPri = 0x002, kPollOut = 0x004, kPollErr = 0x008, kPollHup = 0x010,
                          kPollNval = 0x020, kPollRdNorm = 0x040, kPollWrNorm = 0x100, kPollRdHup = 0x2000;

// Handed to File::poll(): the file registers it with every wait queue on which a change of its readiness is
// announced. poll() itself never sleeps.
class PollRegistrar {
  public:
    virtual void watch(sched::WaitQueue& queue) = 0;

  protected:
    ~PollRegistrar() = default;
};

}  // namespace fs
