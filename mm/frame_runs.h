// Runs of frames for 2 MiB pages: implemented in frames.cpp.
#pragma once

#include "mm/frames.h"

namespace mm {

inline constexpr unsigned kRunOrder = 9;
inline constexpr unsigned kRunFrames = 1u << kRunOrder;
static_assert(kRunFrames * core::kPageSize == core::kHugePageSize);

// Free pages that runs leave to others, of `total` pages: an eighth of memory and at least 16 MiB. A run may hold pages
// that the program never touches, and nobody takes it back; with 4 KiB pages the program would not have had them.
constexpr uint64_t pages_kept_from_runs(uint64_t total) {
    constexpr uint64_t kLeast = (uint64_t{16} << 20) >> core::kPageShift;
    return total / 8 > kLeast ? total / 8 : kLeast;
}

// kRunFrames zeroed frames in a row, aligned to 2 MiB, in state kAnonymous with one reference each; they are freed one
// by one, or all with free_frames(). ENOMEM: there is no such run, or fewer than pages_kept_from_runs() would be left.
Result<Pfn> allocate_run();

}  // namespace mm
