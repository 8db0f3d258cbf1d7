// The vDSO of every program: mapped at exec, its data page kept up to date (libc-compat/vdso/).
#pragma once

#include "core/result.h"

namespace abi {

// Makes the pages and registers the mapper with process/exec.h. Once at boot, after the clock is set. ENOMEM: programs
// then use system calls.
Result<void> initialize_vdso();
// The clocks have changed (clock_settime(2)).
void update_vdso();

}  // namespace abi
