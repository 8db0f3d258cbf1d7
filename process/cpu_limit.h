// RLIMIT_CPU (getrlimit(2)): SIGXCPU at the soft limit and every second after it, SIGKILL at the hard one.
#pragma once

#include "process/process.h"
#include "sched/timer.h"

namespace process {

class CpuLimit final : public sched::Timer {
  public:
    explicit CpuLimit(Process& process) : process_(process) {}
    // Looks at the process's limit again. No lock held.
    void update();
    void expire() override;

  private:
    void arm_for(Nanoseconds remaining);
    Process& process_;
    std::atomic<Nanoseconds> next_warning_{0};  // CPU time
};

}  // namespace process
