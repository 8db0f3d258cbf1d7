// The ranks that one processor holds, for debug builds.
#pragma once

#include "core/lock.h"

namespace core {

struct HeldLocks {
    static constexpr unsigned kMost = 24;
    const void* locks[kMost];
    Rank ranks[kMost];
    unsigned count = 0;
};

// This processor's record (arch/x86_64/processor.cpp, tests/unit/support).
HeldLocks& held_locks();

}  // namespace core
