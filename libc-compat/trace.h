// The line that `trace=syscalls` writes for each call (docs/boot-protocol.md).
#pragma once

#include "libc-compat/syscall.h"

namespace abi {

// "pid 7 tid 8 (nginx): read(fd=3, buf=0x7ffe..., count=0x2000)" before the call runs, so that a call that
// never returns is seen.
void trace_entry(const Context& context, const SystemCall& call);
// "tid 8: read = 12" or "= -ENOENT".
void trace_result(const Context& context, const SystemCall& call, int64_t result);

}  // namespace abi
