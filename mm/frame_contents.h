// Frames whose bytes are known and worth keeping: each processor has some of each kind at hand. They count as free
// and go to whoever needs memory when there is no other. An empty page table (kPageTable with index 0) is kept by
// free_frame() itself, and allocate_frame() gives it to the next one.
#pragma once

#include "mm/frames.h"

namespace mm {

enum class Content : uint8_t { kZeroes, kConfinedTop, kIsolatedTop };  // tops: mm/top_tables.h
inline constexpr unsigned kContents = 3;

struct ContentFrame {
    Pfn frame;
    bool ready;  // false: nothing was at hand, the frame holds anything
};
// ENOMEM.
Result<ContentFrame> allocate_frame_with(Content content, Frame::State state);
// Frees a frame that holds `content`.
void free_frame_with(Pfn frame, Content content);

}  // namespace mm
