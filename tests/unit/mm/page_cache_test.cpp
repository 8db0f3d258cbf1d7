#include "mm/page_cache.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "space_fixture.h"

namespace {

using namespace mm;
using Intent = PageCache::Intent;

constexpr Protection kR{true, false, false}, kRw{true, true, false};

class Cache : public SpaceFixture {
  protected:
    static uint8_t byte_of(TestFile& file, uint64_t index) {
        auto frame = *file->cache.get(index, Intent::kRead);
        uint8_t value = *to_pointer<uint8_t>(frame);
        unref_frame(frame);
        return value;
    }
    UserAddr map_file(TestFile& file, uint64_t pages, Protection protection, Sharing sharing) {
        return *space->map({.size = pages * kPageSize, .protection = protection, .sharing = sharing,
                            .object = file.object});
    }
};

TEST_F(Cache, PagesAreFoundAgainAtAnyIndex) {
    uint64_t free_before = all_free();
    {
        TestFile file(~0ull >> 1);
        std::mt19937_64 random(3);
        std::map<uint64_t, core::Pfn> pages;
        for (int i = 0; i < 2000; i++) {
            uint64_t index = random() >> (16 + random() % 48);
            auto frame = file->cache.get(index, Intent::kWrite);
            ASSERT_TRUE(frame);
            auto [at, fresh] = pages.insert({index, *frame});
            EXPECT_EQ(at->second, *frame);
            unref_frame(*frame);
        }
        EXPECT_EQ(file->cache.page_count(), pages.size());
        EXPECT_EQ(file->cache.get(uint64_t{1} << 50, Intent::kRead).error(), Errno::kFBig);
        EXPECT_EQ(file->cache.find((uint64_t{1} << 47) + 12345).error(), Errno::kNoData);
        while (!pages.empty()) {
            auto middle = std::next(pages.begin(), static_cast<long>(pages.size() * 3 / 4));
            file->cache.truncate(middle->first * kPageSize);
            pages.erase(middle, pages.end());
            ASSERT_EQ(file->cache.page_count(), pages.size());
            for (auto& [index, frame] : pages) {
                auto found = file->cache.find(index);
                ASSERT_TRUE(found);
                ASSERT_EQ(*found, frame);
                unref_frame(*found);
            }
        }
    }
    EXPECT_EQ(all_free(), free_before);
}

TEST_F(Cache, ReadWriteAndMappingsSeeTheSamePage) {
    TestFile file(4 * kPageSize);
    UserAddr shared = map_file(file, 4, kRw, Sharing::kShared), copy = map_file(file, 4, kRw, Sharing::kPrivate);
    EXPECT_EQ(read(shared + kPageSize), 2);
    EXPECT_EQ(read(copy + kPageSize), 2);
    write(shared + kPageSize, 99);
    EXPECT_EQ(byte_of(file, 1), 99);
    EXPECT_EQ(read(copy + kPageSize), 99);
    write(copy + kPageSize, 50);
    EXPECT_EQ(read(shared + kPageSize), 99);
    write(shared + kPageSize, 98);
    EXPECT_EQ(read(copy + kPageSize), 50);
}

TEST_F(Cache, InPlacePagesAreReplacedBeforeTheyAreWritten) {
    TestFile file(2 * kPageSize);
    file->put_in_place(0);
    file->put_in_place(1);
    UserAddr reader = map_file(file, 2, kR, Sharing::kShared), writer = map_file(file, 2, kRw, Sharing::kShared);
    UserAddr copy = map_file(file, 2, kRw, Sharing::kPrivate);
    EXPECT_EQ(read(reader), 1);
    EXPECT_EQ(read(writer), 1);
    EXPECT_EQ(file->cache.page_count(), 0u);
    write(copy, 44);
    EXPECT_EQ(file->cache.page_count(), 0u);
    auto other = *space->fork();
    EXPECT_EQ(read_from(*other, reader), 1);
    write(writer, 77);
    EXPECT_EQ(file->cache.page_count(), 1u);
    EXPECT_EQ(read(reader), 77);
    EXPECT_EQ(read_from(*other, reader), 77);
    EXPECT_EQ(read(copy), 44);
    EXPECT_EQ(*to_pointer<uint8_t>(file->in_place[0]), 1);
    // By a write() of the file, too.
    EXPECT_EQ(read(reader + kPageSize), 2);
    auto frame = *file->cache.get(1, Intent::kWrite);
    *to_pointer<uint8_t>(frame) = 5;
    unref_frame(frame);
    EXPECT_EQ(read(reader + kPageSize), 5);
}

TEST_F(Cache, TruncateUnmapsEverywhereAndZeroesTheTail) {
    TestFile file(20 * kPageSize);
    UserAddr shared = map_file(file, 20, kRw, Sharing::kShared), copy = map_file(file, 20, kRw, Sharing::kPrivate);
    for (int i = 0; i < 20; i++) {
        write(shared + i * kPageSize + 4000, 1);
        write(copy + i * kPageSize, 9);
    }
    auto child = *space->fork();
    EXPECT_EQ(read_from(*child, shared + 10 * kPageSize + 4000), 1);
    file->size = 5 * kPageSize + 100;
    file->cache.truncate(file->size);
    EXPECT_EQ(file->cache.page_count(), 6u);
    for (AddressSpace* each : {space.get(), child.get()}) {
        EXPECT_EQ(each->fault(shared + 6 * kPageSize, AccessKind::kRead).error(), FaultError::kPastEnd);
        EXPECT_EQ(each->fault(copy + 6 * kPageSize, AccessKind::kRead).error(), FaultError::kPastEnd);
        EXPECT_EQ(read_from(*each, shared + 5 * kPageSize + 4000), 0);
        EXPECT_EQ(read_from(*each, shared + 4 * kPageSize + 4000), 1);
        EXPECT_EQ(read_from(*each, copy + 4 * kPageSize), 9);
    }
}

TEST_F(Cache, HolesKeepPrivateCopies) {
    TestFile file(8 * kPageSize);
    UserAddr shared = map_file(file, 8, kRw, Sharing::kShared), copy = map_file(file, 8, kRw, Sharing::kPrivate);
    write(shared + 2 * kPageSize, 100);
    write(copy + 2 * kPageSize, 101);
    ASSERT_TRUE(space->advise({shared + 2 * kPageSize, shared + 4 * kPageSize}, 9));
    EXPECT_EQ(read(copy + 2 * kPageSize), 101);
    EXPECT_EQ(read(shared + 2 * kPageSize), 3);  // filled anew by the source
    EXPECT_EQ(space->advise({copy, copy + kPageSize}, 9).error(), Errno::kAcces);
}

TEST_F(Cache, FaultAroundMapsWhatIsInMemoryOnly) {
    TestFile file(40 * kPageSize);
    for (int i = 0; i < 40; i++) file->put_in_place(i);
    UserAddr at = map_file(file, 40, kR, Sharing::kPrivate);
    EXPECT_EQ(read(at + 20 * kPageSize), 21);
    uint64_t around = space->sizes().resident_pages;
    EXPECT_GE(around, 8u);
    EXPECT_LE(around, 16u);
    check_consistency();
    for (int i = 0; i < 40; i++) EXPECT_EQ(read(at + i * kPageSize), i + 1);
    TestFile lazy(40 * kPageSize);
    at = map_file(lazy, 40, kR, Sharing::kPrivate);
    EXPECT_EQ(read(at + 20 * kPageSize), 21);
    EXPECT_EQ(lazy->cache.page_count(), 1u);
}

TEST_F(Cache, FailureAtEveryAllocation) {
    uint64_t free_before = all_free();
    test_support::fail_each_allocation([&] {
        auto made = core::make_ref<TestInode>(uint64_t{1} << 40);
        if (!made) return false;
        bool good = true;
        for (uint64_t index : {0ull, 1ull, 70ull, 5000ull, 300000ull}) {
            auto frame = (*made)->cache.get(index, Intent::kWrite);
            if (frame) unref_frame(*frame);
            else good = false;
        }
        return good;
    });
    EXPECT_EQ(all_free(), free_before);
}

}  // namespace
