#include "mm/heap.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <random>

#include "mm_host.h"

namespace {

class HeapTest : public testing::Test {
  protected:
    void SetUp() override { test_support::reset_memory(8192); }
    std::unique_ptr<mm::Heap> heap = std::make_unique<mm::Heap>();
};

TEST_F(HeapTest, SizesAreRoundedUpToAClass) {
    for (size_t size = 1; size < 20000; size++) EXPECT_GE(mm::Heap::usable_size(size), size);
    EXPECT_EQ(mm::Heap::usable_size(1), 16u);
    EXPECT_EQ(mm::Heap::usable_size(33), 48u);
    EXPECT_EQ(mm::Heap::usable_size(49), 64u);
    EXPECT_EQ(mm::Heap::usable_size(65), 96u);
    EXPECT_EQ(mm::Heap::usable_size(1025), 1536u);
    EXPECT_EQ(mm::Heap::usable_size(2048), 2048u);
    EXPECT_EQ(mm::Heap::usable_size(2049), 4096u);
    EXPECT_EQ(mm::Heap::usable_size(4097), 8192u);
}

TEST_F(HeapTest, ObjectsKeepTheirContentsAndMemoryComesBack) {
    struct Object { unsigned char* bytes; size_t size; unsigned char mark; };
    std::mt19937 random(2);
    std::vector<Object> objects;
    uint64_t free_before = mm::memory_statistics().free_pages;
    auto check = [](const Object& object) {
        for (size_t i = 0; i < object.size; i++) ASSERT_EQ(object.bytes[i], object.mark);
    };
    for (int round = 0; round < 50000; round++) {
        test_support::set_this_cpu(random() % 3);
        if (objects.empty() || random() % 9 < 5) {
            size_t size = 1 + random() % (random() % 50 == 0 ? 30000 : 2100);
            auto* bytes = static_cast<unsigned char*>(heap->allocate(size));
            ASSERT_TRUE(bytes);
            ASSERT_EQ(reinterpret_cast<uintptr_t>(bytes) % 16, 0u);
            objects.push_back({bytes, size, static_cast<unsigned char>(random())});
            std::memset(bytes, objects.back().mark, size);
        } else {
            size_t victim = random() % objects.size();
            check(objects[victim]);
            heap->deallocate(objects[victim].bytes);
            objects[victim] = objects.back();
            objects.pop_back();
        }
    }
    for (Object& object : objects) {
        check(object);
        heap->deallocate(object.bytes);
    }
    for (unsigned cpu = 0; cpu < 3; cpu++) {
        test_support::set_this_cpu(cpu);
        heap->drain_this_processor();
    }
    EXPECT_EQ(mm::memory_statistics().free_pages, free_before);
}

TEST_F(HeapTest, AlignmentIsKept) {
    for (size_t alignment = 8; alignment <= 4096; alignment *= 2) {
        for (size_t size : {1, 24, 100, 832, 3000}) {
            void* object = heap->allocate_aligned(size, alignment);
            ASSERT_TRUE(object);
            EXPECT_EQ(reinterpret_cast<uintptr_t>(object) % alignment, 0u) << size << " " << alignment;
        }
    }
}

TEST_F(HeapTest, FailureIsNullAndNothingIsLost) {
    uint64_t free_before = mm::memory_statistics().free_pages;
    mm::inject_allocation_failure(1);
    EXPECT_EQ(heap->allocate(64), nullptr);
    mm::inject_allocation_failure(2);  // the slab
    EXPECT_EQ(heap->allocate(64), nullptr);
    EXPECT_EQ(heap->allocate(size_t{1} << 40), nullptr);
    EXPECT_EQ(mm::memory_statistics().free_pages, free_before);
    std::vector<void*> objects;
    while (void* object = heap->allocate(1000)) objects.push_back(object);
    EXPECT_GT(objects.size(), 25000u);
    for (void* object : objects) heap->deallocate(object);
    heap->drain_this_processor();
    EXPECT_EQ(mm::memory_statistics().free_pages, free_before);
}

}  // namespace
