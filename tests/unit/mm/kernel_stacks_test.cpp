#include "mm/kernel_stacks.h"

#include <gtest/gtest.h>

#include <set>

#include "arch/x86_64/top_table.h"
#include "mm_host.h"
#include "page_table_walker.h"

namespace {

TEST(KernelStacks, AreMappedWithAGuardBelowAndComeBack) {
    test_support::reset_memory(8192);
    // A top table with the stacks' slot.
    auto top = *mm::allocate_frame(mm::Fill::kZeroed, mm::Frame::State::kPageTable);
    mm::to_pointer<uint64_t>(top)[arch::kKernelStacksSlot] = arch::kernel_top_entry(arch::kKernelStacksSlot);
    uint64_t root = top.address().value();
    std::set<uint64_t> stacks, frames;
    for (int i = 0; i < 100; i++) {
        auto stack = mm::allocate_kernel_stack();
        ASSERT_TRUE(stack);
        uint64_t base = reinterpret_cast<uint64_t>(*stack);
        ASSERT_TRUE(stacks.insert(base).second);
        EXPECT_FALSE(walker::look_up(root, base - 1).present);
        EXPECT_FALSE(walker::look_up(root, base + arch::kKernelStackSize).present);
        for (uint64_t at = base; at < base + arch::kKernelStackSize; at += kPageSize) {
            auto page = walker::look_up(root, at);
            EXPECT_TRUE(page.present && page.writable && page.user && !page.executable);
            EXPECT_EQ(page.key, arch::kKernelKey);
            EXPECT_EQ(page.raw & 0x100, 0u);  // never global
            EXPECT_TRUE(frames.insert(page.physical).second);
        }
    }
    uint64_t kernel_pages = mm::memory_statistics().kernel_pages;
    for (uint64_t base : stacks) mm::free_kernel_stack(reinterpret_cast<void*>(base));
    EXPECT_EQ(mm::memory_statistics().kernel_pages, kernel_pages - (100 - 8) * 4);
    EXPECT_EQ(test_support::take_flushes().size(), 100u - 8);
    for (int i = 0; i < 100; i++) {
        auto stack = mm::allocate_kernel_stack();
        ASSERT_TRUE(stack);
        EXPECT_EQ(stacks.erase(reinterpret_cast<uint64_t>(*stack)), 1u);  // addresses are used again
    }
    uint64_t free_before = mm::memory_statistics().free_pages;
    for (int n = 1; n < 5; n++) {
        mm::inject_allocation_failure(n);
        EXPECT_FALSE(mm::allocate_kernel_stack());
        EXPECT_EQ(mm::memory_statistics().free_pages, free_before);
    }
    mm::inject_allocation_failure(0);
}

}  // namespace
