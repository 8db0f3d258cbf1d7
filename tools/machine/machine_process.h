// Starts QEMU and sees that it does not outlive the tool.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "support/unique_fd.h"

namespace tool {

/// Two connected sockets: one for the tool (closed on exec), one that QEMU inherits.
struct SocketPair {
    UniqueFd ours;
    UniqueFd theirs;
    static SocketPair create();
};

class MachineProcess {
  public:
    /// Starts a program with these inherited descriptors (all others that are close-on-exec are closed) and with
    /// stdin, stdout on /dev/null; stderr stays. It is killed when the tool ends, however that happens.
    /// Throws Failure if it cannot be started.
    explicit MachineProcess(const std::vector<std::string>& command);
    /// Ends it if it still runs.
    ~MachineProcess();
    MachineProcess(const MachineProcess&) = delete;
    MachineProcess& operator=(const MachineProcess&) = delete;

    pid_t pid() const { return pid_; }
    int pidfd() const { return pidfd_.get(); }
    /// Waits for its end; the status as of waitpid(2).
    int wait();

  private:
    pid_t pid_ = -1;
    UniqueFd pidfd_;
    bool running_ = false;
};

}  // namespace tool
