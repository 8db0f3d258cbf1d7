// Waiting for children (wait4(2), waitid(2)).
#pragma once

#include "process/process.h"
#include "process/usage.h"

namespace process {

inline constexpr uint32_t kWaitNoHang = 1, kWaitStopped = 2, kWaitExited = 4, kWaitContinued = 8,
    kWaitNoWait = 0x01000000, kWaitNoThread = 0x20000000, kWaitAll = 0x40000000, kWaitClone = 0x80000000;

struct WaitRequest {
    enum class Kind : uint8_t { kAny, kProcess, kGroup } kind = Kind::kAny;
    Pid id = 0;
    uint32_t options = 0;  // kWaitExited included where the call implies it
};

struct WaitResult {
    Pid pid = 0;  // 0: kWaitNoHang and nothing to report
    int status = 0;  // as wait4(2)
    int code = 0;    // CLD_* as waitid(2)
    int info_status = 0;  // si_status
    uint32_t uid = 0;
    Usage usage;
};

// Sleeps until a child that fits has something to report. ECHILD, kRestartSys.
Result<WaitResult> wait_for_child(Thread& thread, const WaitRequest& request);

}  // namespace process
