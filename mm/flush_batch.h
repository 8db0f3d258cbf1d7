// What a change of page tables leaves to do: stale translations to flush, and frames that may be released only
// after that, because a processor could still reach them.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>

#include "arch/x86_64/pcid.h"
#include "arch/x86_64/top_table.h"
#include "core/types.h"
#include "mm/page_tables.h"

namespace mm {

// The general case of flush(), out of line: processors `cpus` have the tables loaded.
void flush_range(arch::TlbState& tlb, uint64_t start, uint64_t end, uint64_t cpus, uint64_t generation);
// All that any processor has cached.
void flush_everything();

// A range's present entries have changed.
inline void flush(arch::TlbState& tlb, uint64_t start, uint64_t end) {
    // Orders the changes before the look at who has the tables loaded (AddressSpace::activate() does the reverse).
    const uint64_t generation = tlb.generation.fetch_add(1, std::memory_order_seq_cst) + 1;
    const uint64_t cpus = tlb.loaded_on.load(std::memory_order_seq_cst);
    if (cpus == 0) return;
    const bool is_simple = cpus == uint64_t{1} << arch::this_cpu() && !arch::uses_pcids();
    if (is_simple && end - start == kPageSize) [[likely]] arch::flush_page_here(start);
    else flush_range(tlb, start, end, cpus, generation);
}
inline void flush(arch::TlbState& tlb, UserAddr page) { flush(tlb, page.value(), page.value() + kPageSize); }

// Lives on the stack, under the space's lock; the destructor does what is left. If the space is loaded on no
// processor, frames are released at once and nothing is flushed.
class FlushBatch {
  public:
    explicit FlushBatch(arch::TlbState& tlb) : tlb_(tlb) {}
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
        if (for_sharers_) [[unlikely]] flush_everything();
        else mm::flush(tlb_, start_, end_);
        start_ = ~uint64_t{0};
        end_ = 0;
    }

    arch::TlbState& tlb_;
    uint64_t start_ = ~uint64_t{0}, end_ = 0;
    unsigned count_ = 0;
    bool for_sharers_ = false;
    uint64_t frames_[kCapacity];  // numbers: not initialised
};

}  // namespace mm
