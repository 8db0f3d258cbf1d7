// What tests of address spaces share: a fresh machine, a space, files, and a check that nothing is lost.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "mm/address_space.h"
#include "mm/address_space_state.h"
#include "mm/shared_memory.h"
#include "mm_host.h"
#include "page_table_walker.h"

// A file whose page n is full of bytes n + 1; can have its pages in place (as the boot image does).
class TestInode final : public mm::Mappable, public mm::PageSource {
  public:
    explicit TestInode(uint64_t size) : size(size), cache(*this) {}
    ~TestInode() override { for (auto& [index, frame] : in_place) mm::unref_frame(frame); }
    mm::PageCache& page_cache() override { return cache; }
    uint64_t mapped_size() const override { return size; }
    std::string_view map_name() const override { return "/file"; }
    Result<core::Pfn> frame_in_place(uint64_t index) override {
        auto found = in_place.find(index);
        if (found == in_place.end()) return fail(Errno::kNoData);
        return found->second;
    }
    Result<void> fill(uint64_t index, core::Pfn frame) override {
        std::memset(mm::to_pointer(frame), static_cast<int>(index + 1), kPageSize);
        return {};
    }
    void put_in_place(uint64_t index) {
        auto frame = *mm::allocate_frame(mm::Fill::kUninitialized, mm::Frame::State::kKernel);
        mm::frame_of(frame).state = mm::Frame::State::kReserved;  // as the boot image's
        std::memset(mm::to_pointer(frame), static_cast<int>(index + 1), kPageSize);
        in_place[index] = frame;
    }

    uint64_t size;
    std::map<uint64_t, core::Pfn> in_place;
    mm::PageCache cache;
};

struct TestFile {
    explicit TestFile(uint64_t size) : object(*core::make_ref<TestInode>(size)) {}
    TestInode* operator->() const { return object.get(); }
    core::Ref<TestInode> object;
};

class SpaceFixture : public testing::Test {
  protected:
    void SetUp() override {
        test_support::reset_memory(8192);
        space = *mm::AddressSpace::create(mm::Model::kConfined);
    }

    UserAddr map(uint64_t pages, mm::Protection protection) {
        mm::MapRequest request;
        request.size = pages * kPageSize;
        request.protection = protection;
        return *space->map(request);
    }
    static uint8_t read_from(mm::AddressSpace& from, UserAddr at) {
        std::byte value{};
        EXPECT_TRUE(from.read_memory(at, {&value, 1}));
        return static_cast<uint8_t>(value);
    }
    static void write_to(mm::AddressSpace& to, UserAddr at, uint8_t value) {
        std::byte byte{value};
        EXPECT_TRUE(to.write_memory(at, {&byte, 1}));
    }
    uint8_t read(UserAddr at) { return read_from(*space, at); }
    void write(UserAddr at, uint8_t value) { write_to(*space, at, value); }

    unsigned vma_count() {
        unsigned count = 0;
        space->for_each_map([](void* context, const mm::MapLine&) { ++*static_cast<unsigned*>(context); }, &count);
        return count;
    }
    static uint64_t all_free() { return mm::memory_statistics().free_pages; }

    // Every entry lies in a VMA and grants no more than it, and the counts of resident pages are right.
    void check_consistency() {
        struct Line { uint64_t start, end; mm::Protection protection; };
        std::vector<Line> lines;
        space->for_each_map(
            [](void* context, const mm::MapLine& line) {
                static_cast<std::vector<Line>*>(context)->push_back(
                    {line.range.start.value(), line.range.end.value(), line.protection});
            },
            &lines);
        for (size_t i = 1; i < lines.size(); i++) ASSERT_LE(lines[i - 1].end, lines[i].start);
        space->activate();
        uint64_t resident = 0;
        walker::for_each(test_support::loaded_table(0).value(), 39, 0, [&](uint64_t address, uint64_t entry) {
            const Line* line = nullptr;
            for (const Line& candidate : lines) {
                if (candidate.start <= address && address < candidate.end) line = &candidate;
            }
            ASSERT_TRUE(line) << std::hex << address;
            if (entry & 1) {
                ASSERT_TRUE(entry & 4);
                ASSERT_TRUE(!(entry & 2) || line->protection.write);
                ASSERT_TRUE(entry >> 63 || line->protection.execute);
            } else {
                ASSERT_TRUE(line->protection == mm::Protection{}) << std::hex << address;
            }
            if ((entry & 0x000ffffffffff000) != mm::zero_frame().address().value()) resident++;
        });
        space->deactivate();
        EXPECT_EQ(space->sizes().resident_pages, resident);
    }

    core::Ref<mm::AddressSpace> space;
};
