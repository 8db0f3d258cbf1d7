// The families of system calls: one line each here and one in the list below. Whoever writes a family adds it.
#pragma once

#include "libc-compat/syscall.h"

namespace abi {

#define ISOUNIK_FAMILIES(FAMILY) \
    FAMILY(kFileFamily)          \
    FAMILY(kFileMetadataFamily)  \
    FAMILY(kDescriptorFamily)    \
    FAMILY(kFileControlFamily)   \
    FAMILY(kCopyingFamily)       \
    FAMILY(kDirectoryFamily)     \
    FAMILY(kFileSystemFamily)    \
    FAMILY(kPipeFamily)          \
    FAMILY(kSpliceFamily)        \
    FAMILY(kEventFamily)         \
    FAMILY(kPollFamily)          \
    FAMILY(kMemoryFamily)        \
    FAMILY(kMemoryKeyFamily)     \
    FAMILY(kSystemVMemoryFamily) \
    FAMILY(kProcessFamily)       \
    FAMILY(kExecFamily)          \
    FAMILY(kWaitFamily)          \
    FAMILY(kSignalFamily)        \
    FAMILY(kSignalSendingFamily) \
    FAMILY(kFutexFamily)         \
    FAMILY(kTimeFamily)          \
    FAMILY(kTimerFamily)         \
    FAMILY(kCredentialFamily)    \
    FAMILY(kLimitFamily)         \
    FAMILY(kSchedulingFamily)    \
    FAMILY(kSystemFamily)        \
    FAMILY(kPrctlFamily)         \
    FAMILY(kSocketFamily)

#define ISOUNIK_DECLARE_FAMILY(name) extern const SystemCallFamily name;
ISOUNIK_FAMILIES(ISOUNIK_DECLARE_FAMILY)
#undef ISOUNIK_DECLARE_FAMILY

}  // namespace abi
