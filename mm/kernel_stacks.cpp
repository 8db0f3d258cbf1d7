#include "mm/kernel_stacks.h"

#include <algorithm>

#include "arch/x86_64/kernel_stack_bits.h"
#include "arch/x86_64/page_table.h"
#include "arch/x86_64/tlb.h"
#include "arch/x86_64/top_table.h"
#include "core/lock.h"
#include "core/panic.h"
#include "mm/page_tables.h"

namespace mm {

namespace {

constexpr uint64_t kStackPages = arch::kKernelStackSize / kPageSize;
// A stack and its guard page in 32 KiB, so that a stack pointer tells its stack; the lower half stays unmapped.
constexpr uint64_t kStride = 2 * arch::kKernelStackSize;
constexpr uint64_t kMaxStacks = 1u << 20;
static_assert(arch::kKernelStackSize == KERNEL_STACK_BIT && arch::kKernelStacksBase % kStride == 0);
static_assert(arch::kKernelStacksBase >> 39 == KERNEL_STACKS_TOP_BITS && kMaxStacks * kStride <= uint64_t{1} << 39);

constexpr unsigned kCached = 8;  // per processor
struct alignas(64) Cache {
    unsigned count = 0;
    void* stacks[kCached];
};
Cache g_caches[arch::kMaxCpus];

// Numbers of stacks: those below g_next were used once; the free ones among them form a list through the
// (unmapped) stacks' level-1 entries, which hold number + 1 shifted past the present bit.
core::Spinlock g_lock{core::Rank::kHeap};
uint64_t g_next = 0;
uint64_t g_free_list = 0;  // number + 1

uint64_t base_of(uint64_t number) { return arch::kKernelStacksBase + number * kStride + arch::kKernelStackSize; }

// The leaf table of an address in the kernel's slot; made if absent. ENOMEM.
Result<PageTable*> leaf_of(uint64_t address) {
    PageEntry entry(arch::kernel_top_entry(arch::table_index(address, arch::kTopLevel)));
    ASSERT(entry.is_present());
    PageTable* table = to_pointer<PageTable>(entry.frame());
    for (unsigned level = 3; level > arch::kLeafLevel; level--) {
        unsigned index = arch::table_index(address, level);
        if (!table->get(index).is_present()) {
            table->set(index, PageEntry::kernel_table(TRY(allocate_table())));
        }
        table = to_pointer<PageTable>(table->get(index).frame());
    }
    return table;
}

// A stack lies in one leaf table: 32 KiB divides 2 MiB.
Result<void> map_stack(uint64_t base, PageTable& leaf) {
    unsigned first = arch::table_index(base, arch::kLeafLevel);
    Pfn frames[kStackPages];
    for (unsigned i = 0; i < kStackPages; i++) {
        auto frame = allocate_frame(Fill::kUninitialized, Frame::State::kKernel);
        if (!frame) {
            while (i > 0) free_frame(frames[--i]);
            return fail(Errno::kNoMem);
        }
        frames[i] = *frame;
    }
    for (unsigned i = 0; i < kStackPages; i++) leaf.set(first + i, PageEntry::kernel_data(frames[i]));
    return {};
}

// The first entry of an unmapped stack links the free list.
uint64_t take_number() {
    if (g_free_list == 0) return g_next < kMaxStacks ? ++g_next : 0;
    uint64_t number = g_free_list - 1, base = base_of(number);
    auto leaf = leaf_of(base);
    ASSERT(leaf);  // it was mapped before
    g_free_list = (*leaf)->get(arch::table_index(base, arch::kLeafLevel)).raw() >> 1;
    return number + 1;
}

void return_number(uint64_t number) {
    uint64_t base = base_of(number);
    auto leaf = leaf_of(base);
    if (!leaf) return;  // its tables were never made: the number is lost, no memory is
    (*leaf)->set(arch::table_index(base, arch::kLeafLevel), PageEntry(g_free_list << 1));
    g_free_list = number + 1;
}

}  // namespace

Result<void*> allocate_kernel_stack() {
    Cache& cache = g_caches[arch::this_cpu()];
    if (cache.count > 0) return cache.stacks[--cache.count];
    core::SpinGuard guard(g_lock);
    uint64_t number = take_number();
    if (number == 0) return fail(Errno::kNoMem);
    uint64_t base = base_of(number - 1);
    auto leaf = leaf_of(base);
    Result<void> mapped = leaf ? map_stack(base, **leaf) : Result<void>(fail(leaf.error()));
    if (!mapped) {
        return_number(number - 1);
        return fail(mapped.error());
    }
    return reinterpret_cast<void*>(base);
}

void free_kernel_stack(void* lowest) {
    Cache& cache = g_caches[arch::this_cpu()];
    if (cache.count < kCached) {
        cache.stacks[cache.count++] = lowest;
        return;
    }
    uint64_t base = reinterpret_cast<uint64_t>(lowest);
    Pfn frames[kStackPages];
    {
        core::SpinGuard guard(g_lock);
        auto leaf = leaf_of(base);
        ASSERT(leaf);
        unsigned first = arch::table_index(base, arch::kLeafLevel);
        for (unsigned i = 0; i < kStackPages; i++) {
            frames[i] = (*leaf)->get(first + i).frame();
            (*leaf)->set(first + i, PageEntry());
        }
    }
    // The kernel half is the same everywhere; offline processors are the architecture's business.
    arch::flush({.cpus = ~uint64_t{0}, .start = base, .end = base + arch::kKernelStackSize, .everything = false});
    for (Pfn frame : frames) free_frame(frame);
    core::SpinGuard guard(g_lock);
    return_number((base - arch::kKernelStacksBase) / kStride);
}

}  // namespace mm
