#include "mm/frame_contents.h"

#include <algorithm>

#include "arch/x86_64/page_ops.h"
#include "arch/x86_64/top_table.h"
#include "core/lock.h"
#include "core/panic.h"
#include "mm/frame_runs.h"

namespace mm {

#if ISOUNIK_HOST
std::byte* host_memory = nullptr;
#endif

namespace detail {
Frame* frame_table = nullptr;
uint64_t frame_count = 0;
uint64_t total_pages = 0;
}  // namespace detail

namespace {

using State = Frame::State;

// Free blocks of 2^order frames, by order. A block's first frame is in state kFree with the block's order; the
// other frames of the block are in any other state.
class Buddy {
  public:
    void add_range(uint64_t first, uint64_t end) {
        while (first < end) {
            unsigned order = kMaxOrder;
            while ((first & ((uint64_t{1} << order) - 1)) != 0 || first + (uint64_t{1} << order) > end) order--;
            push(detail::frame_table[first], order);
            free_pages_ += uint64_t{1} << order;
            first += uint64_t{1} << order;
        }
    }

    Frame* take(unsigned order) {
        unsigned found = order;
        while (found <= kMaxOrder && !lists_[found]) found++;
        if (found > kMaxOrder) return nullptr;
        Frame* frame = lists_[found];
        unlink(*frame);
        while (found > order) {
            found--;
            push(frame[uint64_t{1} << found], found);
        }
        frame->order = static_cast<uint8_t>(order);
        free_pages_ -= uint64_t{1} << order;
        return frame;
    }

    void give(Frame& block, unsigned order) {
        free_pages_ += uint64_t{1} << order;
        uint64_t number = pfn_of(block).number();
        while (order < kMaxOrder) {
            uint64_t buddy_number = number ^ (uint64_t{1} << order);
            if (buddy_number + (uint64_t{1} << order) > detail::frame_count) break;
            Frame& buddy = detail::frame_table[buddy_number];
            if (buddy.state != State::kFree || buddy.order != order) break;
            unlink(buddy);
            number &= ~(uint64_t{1} << order);
            order++;
        }
        push(detail::frame_table[number], order);
    }

    uint64_t free_pages() const { return free_pages_; }

  private:
    void push(Frame& frame, unsigned order) {
        frame.state = State::kFree;
        frame.order = static_cast<uint8_t>(order);
        frame.previous = nullptr;
        frame.next = lists_[order];
        if (frame.next) frame.next->previous = &frame;
        lists_[order] = &frame;
    }
    void unlink(Frame& frame) {
        if (frame.previous) frame.previous->next = frame.next;
        else lists_[frame.order] = frame.next;
        if (frame.next) frame.next->previous = frame.previous;
        frame.state = State::kReserved;
    }

    Frame* lists_[kMaxOrder + 1] = {};
    uint64_t free_pages_ = 0;
};

// Single frames at hand for one processor, and its share of the statistics.
struct alignas(64) ProcessorCache {
    static constexpr unsigned kBatch = 16, kLimit = 48;
    static constexpr uint64_t kKept[kContents] = {32, 8, 8};  // frames of each content
    Frame* head = nullptr;
    uint64_t count = 0;
    struct { Frame* head = nullptr; uint64_t count = 0; } kept[kContents];
    int64_t in_state[kFrameStates] = {};
};

core::Spinlock g_lock{core::Rank::kFrames};
Buddy g_buddy;
ProcessorCache g_caches[arch::kMaxCpus];
MemoryRange g_ram[64];
unsigned g_ram_count = 0;
Pfn g_zero_frame;

// Ranges of frame numbers.
struct Piece { uint64_t first, end; };

struct Pieces {
    Piece list[64];
    unsigned count = 0;
    void add(uint64_t first, uint64_t end) {
        if (first >= end) return;
        if (count == 64) PANIC("initialize_frames: memory in too many pieces");
        list[count++] = {first, end};
    }
    void cut(uint64_t first, uint64_t end) {
        for (unsigned i = 0, old = count; i < old; i++) {
            Piece piece = list[i];
            if (end <= piece.first || piece.end <= first) continue;
            list[i].end = std::max(piece.first, std::min(piece.end, first));
            add(std::max(piece.first, end), piece.end);
        }
    }
};

// Makes `head` non-empty, if need be by frames that were kept for their content. False: no memory.
bool refill(ProcessorCache& cache) {
    core::SpinGuard guard(g_lock);
    for (unsigned i = 0; i < ProcessorCache::kBatch; i++) {
        Frame* frame = g_buddy.take(0);
        if (!frame) break;
        frame->next = cache.head;
        cache.head = frame;
        cache.count++;
    }
    if (cache.head) return true;
    for (auto& kept : cache.kept) {
        if (!kept.head) continue;
        std::swap(cache.head, kept.head);
        std::swap(cache.count, kept.count);
        return true;
    }
    return false;
}

void drain(ProcessorCache& cache) {
    core::SpinGuard guard(g_lock);
    for (unsigned i = 0; i < ProcessorCache::kBatch; i++) {
        Frame* frame = cache.head;
        cache.head = frame->next;
        cache.count--;
        g_buddy.give(*frame, 0);
    }
}

}  // namespace

void initialize_frames(std::span<const MemoryRange> usable, std::span<const MemoryRange> reserved) {
    Pieces pieces;
    uint64_t highest = 0;
    g_ram_count = 0;
    for (const auto* ranges : {&usable, &reserved}) {
        for (const MemoryRange& range : *ranges) {
            highest = std::max(highest, core::align_up(range.end.value(), kPageSize) >> core::kPageShift);
            if (g_ram_count == 64) PANIC("initialize_frames: too many ranges");
            g_ram[g_ram_count++] = range;
        }
    }
    for (const MemoryRange& range : usable) {
        pieces.add(core::align_up(range.start.value(), kPageSize) >> core::kPageShift,
                   range.end.value() >> core::kPageShift);
    }
    pieces.cut(0, 1);  // frame number 0 means "none" in many places
    for (const MemoryRange& range : reserved) {
        pieces.cut(range.start.value() >> core::kPageShift,
                   core::align_up(range.end.value(), kPageSize) >> core::kPageShift);
    }

    // The table goes to the end of the highest piece that can hold it, so that low memory stays in one piece.
    uint64_t table_pages = core::align_up(highest * sizeof(Frame), kPageSize) >> core::kPageShift;
    Piece* home = nullptr;
    for (unsigned i = 0; i < pieces.count; i++) {
        Piece& piece = pieces.list[i];
        if (piece.end - piece.first >= table_pages && (!home || piece.end > home->end)) home = &piece;
    }
    if (!home) PANIC("initialize_frames: no room for the frame table");
    home->end -= table_pages;
    detail::frame_table = to_pointer<Frame>(Pfn(home->end));
    detail::frame_count = highest;
    arch::zero_words(detail::frame_table, table_pages * (kPageSize / 8));

    g_buddy = Buddy();
    for (ProcessorCache& cache : g_caches) cache = ProcessorCache();
    for (unsigned i = 0; i < pieces.count; i++) g_buddy.add_range(pieces.list[i].first, pieces.list[i].end);
    detail::total_pages = g_buddy.free_pages();
    auto zero = allocate_frame(Fill::kZeroed, State::kKernel);
    if (!zero) PANIC("initialize_frames: no memory");
    g_zero_frame = *zero;
    frame_of(g_zero_frame).state = State::kReserved;
}

namespace {

Pfn begin_use(ProcessorCache& cache, Frame& frame, State state) {
    cache.in_state[static_cast<unsigned>(state)]++;
    frame.state = state;
    frame.order = 0;
    frame.flags = 0;
    frame.cache = nullptr;
    frame.index = 0;
    frame.references.store(1, std::memory_order_relaxed);
    return pfn_of(frame);
}

void end_use(ProcessorCache& cache, Frame& frame) {
    cache.in_state[static_cast<unsigned>(frame.state)]--;
    frame.references.store(0, std::memory_order_relaxed);
    frame.state = State::kReserved;
}

bool keep(ProcessorCache& cache, Frame& frame, Content content) {
    auto& kept = cache.kept[static_cast<unsigned>(content)];
    if (kept.count == ProcessorCache::kKept[static_cast<unsigned>(content)]) return false;
    end_use(cache, frame);
    frame.next = kept.head;
    kept.head = &frame;
    kept.count++;
    return true;
}

}  // namespace

Result<ContentFrame> allocate_frame_with(Content content, State state) {
    ProcessorCache& cache = g_caches[arch::this_cpu()];
    auto& kept = cache.kept[static_cast<unsigned>(content)];
    if (!kept.head) return ContentFrame{TRY(allocate_frame(Fill::kUninitialized, state)), false};
    if (allocation_must_fail()) [[unlikely]] return fail(Errno::kNoMem);
    Frame* frame = kept.head;
    kept.head = frame->next;
    kept.count--;
    return ContentFrame{begin_use(cache, *frame, state), true};
}

void free_frame_with(Pfn pfn, Content content) {
    if (!keep(g_caches[arch::this_cpu()], frame_of(pfn), content)) {
        frame_of(pfn).index = ~uint64_t{0};  // whatever it holds, it is not taken for an empty table
        free_frame(pfn);
    }
}

Result<Pfn> allocate_frame(Fill fill, State state) {
    if (fill == Fill::kZeroed && state == State::kPageTable) {
        ContentFrame table = TRY(allocate_frame_with(Content::kZeroes, state));
        if (!table.ready) arch::zero_page(to_pointer(table.frame));
        return table.frame;
    }
    if (allocation_must_fail()) [[unlikely]] return fail(Errno::kNoMem);
    ProcessorCache& cache = g_caches[arch::this_cpu()];
    if (!cache.head && !refill(cache)) [[unlikely]] return fail(Errno::kNoMem);
    Frame* frame = cache.head;
    cache.head = frame->next;
    cache.count--;
    Pfn pfn = begin_use(cache, *frame, state);
    if (fill == Fill::kZeroed) arch::zero_page(to_pointer(pfn));
    return pfn;
}

void free_frame(Pfn pfn) {
    Frame& frame = frame_of(pfn);
    ProcessorCache& cache = g_caches[arch::this_cpu()];
    if (frame.state == State::kPageTable && frame.index == 0 && keep(cache, frame, Content::kZeroes)) return;
    end_use(cache, frame);
    frame.next = cache.head;
    cache.head = &frame;
    if (++cache.count > ProcessorCache::kLimit) drain(cache);
}

namespace {

// A block of 2^order frames, if at least `kept` pages remain.
Result<Pfn> allocate_block(unsigned order, Fill fill, State state, uint64_t kept) {
    if (allocation_must_fail()) return fail(Errno::kNoMem);
    const uint64_t count = uint64_t{1} << order;
    Frame* frame;
    {
        core::SpinGuard guard(g_lock);
        frame = g_buddy.free_pages() >= count + kept ? g_buddy.take(order) : nullptr;
    }
    if (!frame) return fail(Errno::kNoMem);
    for (uint64_t i = 0; i < count; i++) {
        frame[i].state = state;
        frame[i].flags = 0;
        frame[i].cache = nullptr;
        frame[i].index = 0;
        frame[i].references.store(1, std::memory_order_relaxed);
    }
    g_caches[arch::this_cpu()].in_state[static_cast<unsigned>(state)] += static_cast<int64_t>(count);
    Pfn first = pfn_of(*frame);
    if (fill == Fill::kZeroed) arch::zero_words(to_pointer(first), count * (kPageSize / 8));
    return first;
}

}  // namespace

Result<Pfn> allocate_frames(unsigned order, Fill fill, State state) {
    if (order == 0) return allocate_frame(fill, state);
    if (order > kMaxOrder) return fail(Errno::kNoMem);
    return allocate_block(order, fill, state, 0);
}

Result<Pfn> allocate_run() {
    return allocate_block(kRunOrder, Fill::kZeroed, State::kAnonymous, pages_kept_from_runs(detail::total_pages));
}

void free_frames(Pfn first, unsigned order) {
    if (order == 0) return free_frame(first);
    Frame* frame = &frame_of(first);
    uint64_t count = uint64_t{1} << order;
    g_caches[arch::this_cpu()].in_state[static_cast<unsigned>(frame->state)] -= static_cast<int64_t>(count);
    for (uint64_t i = 0; i < count; i++) {
        frame[i].state = State::kReserved;
        frame[i].references.store(0, std::memory_order_relaxed);
    }
    core::SpinGuard guard(g_lock);
    g_buddy.give(*frame, order);
}

bool is_ram(Pfn pfn) {
    for (unsigned i = 0; i < g_ram_count; i++) {
        if (g_ram[i].start <= pfn.address() && pfn.address() < g_ram[i].end) return true;
    }
    return false;
}

Pfn zero_frame() { return g_zero_frame; }

MemoryStatistics memory_statistics() {
    MemoryStatistics statistics{};
    int64_t in_state[kFrameStates] = {};
    statistics.total_pages = detail::total_pages;
    {
        core::SpinGuard guard(g_lock);
        statistics.free_pages = g_buddy.free_pages();
    }
    for (const ProcessorCache& cache : g_caches) {
        statistics.free_pages += cache.count;
        for (const auto& kept : cache.kept) statistics.free_pages += kept.count;
        for (unsigned i = 0; i < kFrameStates; i++) in_state[i] += cache.in_state[i];
    }
    auto count_of = [&](State state) {
        return static_cast<uint64_t>(std::max<int64_t>(0, in_state[static_cast<unsigned>(state)]));
    };
    statistics.page_cache_pages = count_of(State::kFile);
    statistics.anonymous_pages = count_of(State::kAnonymous);
    statistics.page_table_pages = count_of(State::kPageTable);
    statistics.kernel_pages = count_of(State::kKernel);
    return statistics;
}

}  // namespace mm
