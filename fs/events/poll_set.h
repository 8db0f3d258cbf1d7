// Waiting for several files at once: poll(2), select(2) and their relatives.
#pragma once

#include <span>

#include "fs/file.h"

namespace fs {

struct PollEntry {
    Ref<File> file;       // null: never ready
    uint32_t wanted = 0;  // kPoll bits; kPollErr and kPollHup are always reported
    uint32_t ready = 0;   // filled by wait_for_files()
};

// Waits until an entry is ready, the deadline (0: do not wait) or a signal. Returns the number of ready entries, 0 at
// the deadline. EINTR: a signal. ENOMEM. Cost: one poll() per entry, one wait queue entry per file while it waits.
Result<size_t> wait_for_files(std::span<PollEntry> entries, Nanoseconds deadline);

}  // namespace fs
