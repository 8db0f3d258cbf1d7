// What a change of page tables leaves to do: stale translations to flush, and frames that may be released only
// after that, because a processor could still reach them.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>

#include "arch/x86_64/tlb.h"
#include "arch/x86_64/top_table.h"
#include "core/types.h"
#include "mm/page_tables.h"

namespace mm {

// Lives on the stack, under the space's lock; the destructor does what is left. If the space is loaded on no
// processor, frames are released at once and nothing is flushed.
class FlushBatch {
  public:
    explicit FlushBatch(const std::atomic<uint64_t>& loaded_on) : loaded_on_(loaded_on) {}
    FlushBatch(const FlushBatch&) = delete;
    ~FlushBatch() { run(); }

    // A present entry of this page was removed or restricted.
    void stale(UserAddr page) {
        start_ = std::min(start_, page.value());
        end_ = std::max(end_, page.value() + kPageSize);
    }
    void stale(UserRange range) {
        start_ = std::min(start_, range.start.value());
        end_ = std::max(end_, range.end.value());
    }
    // The entries were a shared table's: whoever shares it may be loaded on any processor.
    void stale_for_sharers(UserAddr page) {
        stale(page);
        for_sharers_ = true;
    }
    // One reference (a page's, or one parent of a page table) goes, once nobody can reach it through the TLB.
    void release(Pfn frame) {
        if (count_ == kCapacity) run();
        frames_[count_++] = frame.number();
    }
    void run() {
        if (start_ < end_) flush();
        for (unsigned i = 0; i < count_; i++) {
            Pfn frame(frames_[i]);
            if (frame_of(frame).state == Frame::State::kPageTable) PageTables::release(frame);
            else unref_frame(frame);
        }
        count_ = 0;
    }

  private:
    static constexpr unsigned kCapacity = 64;

    void flush() {
        // Orders the table changes before the look at who has the tables loaded (AddressSpace::activate() does
        // the reverse).
        std::atomic_thread_fence(std::memory_order_seq_cst);
        uint64_t cpus = loaded_on_.load(std::memory_order_relaxed);
        if (for_sharers_) {
            arch::flush({.cpus = ~uint64_t{0}, .start = 0, .end = 0, .everything = true});
        } else if (cpus != 0) {
            if (end_ - start_ == kPageSize && cpus == uint64_t{1} << arch::this_cpu()) arch::flush_page_here(start_);
            else arch::flush({.cpus = cpus, .start = start_, .end = end_, .everything = false});
        }
        start_ = ~uint64_t{0};
        end_ = 0;
    }

    const std::atomic<uint64_t>& loaded_on_;
    uint64_t start_ = ~uint64_t{0}, end_ = 0;
    unsigned count_ = 0;
    bool for_sharers_ = false;
    uint64_t frames_[kCapacity];  // numbers: not initialised
};

}  // namespace mm
