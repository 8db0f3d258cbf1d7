#include "fs/process_host.h"

namespace fs {

namespace {

class NoProcesses final : public ProcessHost {
  public:
    Caller caller() override { return {}; }
    void signal_caller(int) override {}
    bool caller_ignores(int) override { return false; }
    void signal_process(int, int) override {}
    void signal_group(int, int) override {}
    int session_of_group(int) override { return 0; }
    bool group_is_orphaned(int) override { return false; }
    uint64_t pending_signals() override { return 0; }
    bool take_signal(uint64_t, void*) override { return false; }
    bool signal_pending() override { return false; }
};

NoProcesses no_processes;
ProcessHost* host = &no_processes;

}  // namespace

void set_process_host(ProcessHost& new_host) { host = &new_host; }
ProcessHost& process_host() { return *host; }

}  // namespace fs
