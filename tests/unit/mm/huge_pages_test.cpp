// 2 MiB pages: when a program gets one, what splits it, and that fork shares it as the table behind it.
#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "mm/frame_runs.h"
#include "space_fixture.h"

namespace {

using namespace mm;

constexpr Protection kR{true, false, false}, kRw{true, true, false};
constexpr uint64_t kHuge = core::kHugePageSize;
constexpr int kAdviceDontNeed = 4, kAdviceDontFork = 10, kAdviceHuge = 14, kAdviceNoHuge = 15, kAdviceWipe = 18,
              kAdvicePopulateWrite = 23;

class HugePage : public SpaceFixture {
  protected:
    void SetUp() override {
        test_support::reset_memory(16384);
        space = *AddressSpace::create(Model::kConfined);
    }
    // `count` * 2 MiB of memory, aligned, that wants huge pages.
    UserAddr map_advised(uint64_t count, int advice = kAdviceHuge) {
        UserAddr at(0x4000'0000);
        EXPECT_TRUE(space->map({.address = at, .size = count * kHuge, .protection = kRw,
                                .placement = Placement::kFixed}));
        EXPECT_TRUE(space->advise({at, at + count * kHuge}, advice));
        return at;
    }
    // The same with every 16th page written.
    UserAddr map_filled(uint64_t count) {
        UserAddr at = map_advised(count);
        for (uint64_t page = 0; page < count * 512; page += 16) write(at + page * kPageSize, value_of(page));
        return at;
    }
    static uint8_t value_of(uint64_t page) { return static_cast<uint8_t>(page / 16 % 251 + 1); }
    void expect_intact(AddressSpace& in, UserAddr at, uint64_t count) {
        for (uint64_t page = 0; page < count * 512; page += 16) {
            ASSERT_EQ(read_from(in, at + page * kPageSize), value_of(page)) << page;
            ASSERT_EQ(read_from(in, at + (page + 1) * kPageSize), 0) << page;
        }
    }
    walker::Page look_in(AddressSpace& in, UserAddr at) {
        in.activate();
        walker::Page page = walker::look_up(test_support::loaded_table(0).value(), at.value());
        in.deactivate();
        return page;
    }
    walker::Page look(UserAddr at) { return look_in(*space, at); }
    // What a program would read, by the page tables as the processor reads them; 0 where it would fault.
    int as_the_processor_reads(AddressSpace& in, UserAddr at) {
        walker::Page page = look_in(in, at);
        return page.present ? static_cast<int>(host_memory[page.physical + at.page_offset()]) : 0;
    }
    bool is_huge(UserAddr at) { return look(at).large; }
    static uint64_t anonymous() { return memory_statistics().anonymous_pages; }
    static uint64_t tables() { return memory_statistics().page_table_pages; }
};

TEST_F(HugePage, TheFirstWriteMapsAllOfIt) {
    uint64_t before = huge_page_count();
    UserAddr at = map_advised(2);
    write(at + 5 * kPageSize + 3, 7);
    EXPECT_EQ(huge_page_count(), before + 1);
    walker::Page page = look(at + 300 * kPageSize);
    EXPECT_TRUE(page.large && page.writable && page.user && !page.executable);
    EXPECT_EQ(page.physical % kPageSize, 0u);
    EXPECT_EQ(space->sizes().resident_pages, 512u);
    EXPECT_EQ(read(at + 5 * kPageSize + 3), 7);
    EXPECT_EQ(as_the_processor_reads(*space, at + 5 * kPageSize + 3), 7);
    EXPECT_EQ(read(at + 6 * kPageSize), 0);
    EXPECT_FALSE(look(at + kHuge).present);
    check_consistency();
    ASSERT_TRUE(space->unmap({at, at + 2 * kHuge}));
    EXPECT_EQ(huge_page_count(), before);
    EXPECT_EQ(anonymous(), 0u);
}

TEST_F(HugePage, OnlyWhereTheProgramWantsThem) {
    UserAddr at = map_advised(3, kAdviceNoHuge);
    write(at, 1);
    EXPECT_FALSE(is_huge(at));
    ASSERT_TRUE(space->advise({at, at + 2 * kHuge + 4 * kPageSize}, kAdviceHuge));
    EXPECT_EQ(vma_count(), 2u);
    write(at + kPageSize, 1);  // the range has a page already
    EXPECT_FALSE(is_huge(at));
    write(at + kHuge, 1);
    EXPECT_TRUE(is_huge(at + kHuge));
    write(at + 2 * kHuge, 1);  // not all of it is advised
    EXPECT_FALSE(is_huge(at + 2 * kHuge));
    space->disable_huge_pages(true);
    ASSERT_TRUE(space->advise({at + kHuge, at + 2 * kHuge}, kAdviceDontNeed));
    write(at + kHuge, 1);
    EXPECT_FALSE(is_huge(at + kHuge));
    EXPECT_TRUE((*space->fork())->huge_pages_disabled());
}

TEST_F(HugePage, ZeroPagesGiveWay) {
    UserAddr at = map_advised(1);
    for (int page = 0; page < 512; page += 100) EXPECT_EQ(read(at + page * kPageSize), 0);
    space->activate();
    test_support::take_flushes();
    uint64_t before = tables();
    write(at + 100 * kPageSize, 3);
    EXPECT_EQ(tables(), before);
    auto flushes = test_support::take_flushes();
    ASSERT_FALSE(flushes.empty());
    EXPECT_EQ(flushes[0].start, at.value());
    EXPECT_EQ(flushes[0].end, (at + kHuge).value());
    space->deactivate();
    EXPECT_TRUE(is_huge(at));
    EXPECT_EQ(read(at), 0);
    EXPECT_EQ(read(at + 100 * kPageSize), 3);
    EXPECT_EQ(space->sizes().resident_pages, 512u);
    check_consistency();
}

TEST_F(HugePage, ScarceMemoryGoesToSmallPages) {
    UserAddr at = map_advised(29);
    uint64_t huge = 0;
    for (uint64_t i = 0; i < 28; i++) {
        write(at + i * kHuge, 1);
        huge += is_huge(at + i * kHuge);
    }
    EXPECT_GE(huge, 20u);
    EXPECT_LT(huge, 25u);
    EXPECT_GE(all_free() + 64, pages_kept_from_runs(total_pages()));
}

TEST_F(HugePage, ChangesOfAPartSplit) {
    using Change = std::function<Result<void>(UserRange)>;
    Change changes[] = {
        [&](UserRange part) { return space->unmap(part); },
        [&](UserRange part) { return space->advise(part, kAdviceDontNeed); },
        [&](UserRange part) { return space->protect(part, kR); },
        [&](UserRange part) { return space->protect(part, Protection{}); },
        [&](UserRange part) -> Result<void> {
            TRY(space->remap(part, part.size(), 1 | 2, UserAddr(0x7000'0000)));
            return {};
        },
    };
    for (const Change& change : changes) {
        UserAddr at = map_filled(2);
        uint64_t pages = anonymous(), before = tables();
        space->activate();
        test_support::take_flushes();
        UserRange part{at + 16 * kPageSize, at + 32 * kPageSize};
        ASSERT_TRUE(change(part));
        EXPECT_FALSE(test_support::take_flushes().empty());
        space->deactivate();
        EXPECT_FALSE(is_huge(at));
        EXPECT_TRUE(is_huge(at + kHuge));
        EXPECT_LE(tables(), before + 3);
        EXPECT_EQ(read(at), value_of(0));
        EXPECT_EQ(read(at + 32 * kPageSize), value_of(32));
        EXPECT_TRUE(look(at).writable);
        write(at, 9);
        EXPECT_LE(anonymous(), pages);
        check_consistency();
        ASSERT_TRUE(space->unmap({at, at + 2 * kHuge}));
        ASSERT_TRUE(space->unmap({UserAddr(0x7000'0000), UserAddr(0x7000'0000 + 16 * kPageSize)}));
        EXPECT_EQ(anonymous(), 0u);
    }
}

TEST_F(HugePage, ProtectionOfAllOfItKeepsIt) {
    UserAddr at = map_filled(2);
    UserRange whole{at, at + kHuge};
    space->activate();
    test_support::take_flushes();
    ASSERT_TRUE(space->protect(whole, kR));
    EXPECT_FALSE(test_support::take_flushes().empty());
    space->deactivate();
    EXPECT_TRUE(is_huge(at));
    EXPECT_FALSE(look(at).writable);
    EXPECT_EQ(space->fault(at, AccessKind::kWrite).error(), FaultError::kNoAccess);
    check_consistency();
    ASSERT_TRUE(space->protect(whole, kRw));
    EXPECT_TRUE(is_huge(at));
    EXPECT_TRUE(look(at).writable);
    {
        // The child has the first page, so that the parent may not write to it.
        auto child = *space->fork();
        ASSERT_TRUE(child->unmap({at + kPageSize, at + kHuge}));
        ASSERT_TRUE(space->protect(whole, kR));
        ASSERT_TRUE(space->protect(whole, kRw));
        EXPECT_FALSE(is_huge(at));
        EXPECT_FALSE(look(at).writable);
        EXPECT_TRUE(look(at + kPageSize).writable);
        write(at, 77);
        EXPECT_EQ(read_from(*child, at), value_of(0));
    }
    ASSERT_TRUE(space->protect({at + kHuge, at + 2 * kHuge}, Protection{}));
    EXPECT_FALSE(look(at + kHuge).present);
    ASSERT_TRUE(space->protect({at + kHuge, at + 2 * kHuge}, kRw));
    EXPECT_EQ(read(at + kHuge + 16 * kPageSize), value_of(528));
    check_consistency();
}

TEST_F(HugePage, ForkSharesWithoutCopying) {
    UserAddr at = map_filled(4);
    look(at);
    uint64_t before = tables(), pages = anonymous(), huge = huge_page_count();
    {
        auto child = *space->fork();
        EXPECT_EQ(tables(), before + 2);
        EXPECT_EQ(huge_page_count(), huge);
        EXPECT_TRUE(is_huge(at));
        EXPECT_FALSE(look(at).writable);
        EXPECT_TRUE(look_in(*child, at).large);
        expect_intact(*child, at, 4);
        EXPECT_EQ(child->sizes().resident_pages, 4u * 512);
        // The child's first write copies one table and one page.
        write_to(*child, at, 200);
        EXPECT_EQ(anonymous(), pages + 1);
        EXPECT_FALSE(look_in(*child, at).large);
        EXPECT_TRUE(is_huge(at));
        EXPECT_EQ(read(at), value_of(0));
        // The parent has that table alone, but the child has its pages.
        write(at + 16 * kPageSize, 100);
        EXPECT_FALSE(is_huge(at));
        EXPECT_EQ(read_from(*child, at + 16 * kPageSize), value_of(16));
        // Here the parent is first.
        write(at + kHuge, 100);
        EXPECT_FALSE(is_huge(at + kHuge));
        EXPECT_EQ(read_from(*child, at + kHuge), value_of(512));
        EXPECT_TRUE(look_in(*child, at + kHuge).large);
    }
    EXPECT_EQ(anonymous(), pages);
    // What nobody copied is whole again with one fault.
    EXPECT_FALSE(look(at + 2 * kHuge).writable);
    write(at + 2 * kHuge, value_of(1024));
    EXPECT_TRUE(is_huge(at + 2 * kHuge));
    EXPECT_TRUE(look(at + 2 * kHuge + 77 * kPageSize).writable);
    check_consistency();
}

TEST_F(HugePage, TheLastOwnerWritesToAllOfItAgain) {
    UserAddr at = map_filled(1);
    {
        auto child = *space->fork();
        write_to(*child, at, 200);  // copies the table: the parent's entries lose their write permission
    }
    EXPECT_FALSE(look(at).writable);
    write(at, 5);
    EXPECT_TRUE(is_huge(at));
    EXPECT_TRUE(look(at).writable);
    ASSERT_TRUE(space->advise({at, at + kPageSize}, kAdviceDontNeed));
    EXPECT_FALSE(is_huge(at));
    write(at + 33 * kPageSize, 1);
    EXPECT_EQ(anonymous(), 511u);
    check_consistency();
}

TEST_F(HugePage, AnOldTranslationGoesBeforeTheNewOne) {
    UserAddr at = map_filled(1);
    auto child = *space->fork();
    space->activate();
    test_support::take_flushes();
    write(at, 5);
    auto flushes = test_support::take_flushes();
    ASSERT_FALSE(flushes.empty());
    EXPECT_LE(flushes[0].start, at.value());
    space->deactivate();
}

TEST_F(HugePage, WhatTheChildMustNotHaveIsNotShared) {
    for (int advice : {kAdviceDontFork, kAdviceWipe}) {
        UserAddr at = map_filled(2);
        ASSERT_TRUE(space->advise({at + 16 * kPageSize, at + 17 * kPageSize}, advice));
        auto child = *space->fork();
        if (advice == kAdviceWipe) EXPECT_EQ(read_from(*child, at + 16 * kPageSize), 0);
        else EXPECT_EQ(child->fault(at + 16 * kPageSize, AccessKind::kRead).error(), FaultError::kNoMapping);
        EXPECT_EQ(read_from(*child, at + 32 * kPageSize), value_of(32));
        expect_intact(*space, at, 2);
        EXPECT_TRUE(is_huge(at + kHuge));
        child = nullptr;
        ASSERT_TRUE(space->unmap({at, at + 2 * kHuge}));
        EXPECT_EQ(anonymous(), 0u);
    }
}

TEST_F(HugePage, PopulateAndResidency) {
    UserAddr at = map_advised(3);
    ASSERT_TRUE(space->advise({at, at + 2 * kHuge}, kAdvicePopulateWrite));
    EXPECT_EQ(space->sizes().resident_pages, 1024u);
    ASSERT_TRUE(space->lock_memory({at, at + 3 * kHuge}, LockMode::kNow));
    EXPECT_EQ(space->sizes().resident_pages, 1536u);
    uint64_t huge = 0;
    space->for_each_residency(
        [](void* context, const MapLine&, const AddressSpace::Residency& residency) {
            *static_cast<uint64_t*>(context) += residency.huge_pages;
            EXPECT_EQ(residency.anonymous_pages, 1536u);
            EXPECT_EQ(residency.unshared_pages, 1536u);
        },
        &huge);
    EXPECT_EQ(huge, 3u);
}

// Every change, with every allocation failing in turn: nothing is lost, and who shares the page sees nothing.
TEST_F(HugePage, FailureAtEveryAllocation) {
    UserAddr at = map_filled(2);
    UserAddr empty(0x5000'0000);
    ASSERT_TRUE(space->map({.address = empty, .size = kHuge, .protection = kRw, .placement = Placement::kFixed}));
    ASSERT_TRUE(space->advise({empty, empty + kHuge}, kAdviceHuge));
    UserRange part{at + 16 * kPageSize, at + 300 * kPageSize};
    using Change = std::function<bool(AddressSpace&)>;
    Change changes[] = {
        [&](AddressSpace& in) { return static_cast<bool>(in.fault(empty, AccessKind::kWrite)); },
        [&](AddressSpace& in) { return static_cast<bool>(in.fault(at, AccessKind::kWrite)); },
        [&](AddressSpace& in) { return static_cast<bool>(in.protect(part, kR)); },
        [&](AddressSpace& in) { return static_cast<bool>(in.advise(part, kAdviceDontNeed)); },
        [&](AddressSpace& in) { return static_cast<bool>(in.unmap(part)); },
        [&](AddressSpace& in) {
            return static_cast<bool>(in.remap(part, part.size(), 1 | 2, UserAddr(0x7000'0000)));
        },
        [&](AddressSpace& in) { return static_cast<bool>(in.fork()); },
    };
    for (bool shared : {false, true}) {
        for (const Change& change : changes) {
            uint64_t free_before = all_free(), huge_before = huge_page_count();
            for (uint64_t n = 1;; n++) {
                // A copy with pages of its own, or one that shares them.
                core::Ref<AddressSpace> victim = *space->fork();
                if (!shared) {
                    ASSERT_TRUE(victim->unmap({at, at + 2 * kHuge}));
                    ASSERT_TRUE(victim->map({.address = at, .size = 2 * kHuge, .protection = kRw,
                                             .placement = Placement::kFixed}));
                    ASSERT_TRUE(victim->advise({at, at + 2 * kHuge}, kAdviceHuge));
                    for (uint64_t page = 0; page < 1024; page += 16) {
                        write_to(*victim, at + page * kPageSize, value_of(page));
                    }
                }
                inject_allocation_failure(n);
                bool succeeded = change(*victim);
                bool reached = detail::failure_countdown.load() == 0;
                inject_allocation_failure(0);
                if (!succeeded) expect_intact(*victim, at, 2);
                victim = nullptr;
                expect_intact(*space, at, 2);
                ASSERT_EQ(huge_page_count(), huge_before);
                ASSERT_EQ(all_free(), free_before);
                if (succeeded && !reached) break;
            }
        }
    }
}

// Families of spaces that change their memory in all ways, against a model of each.
TEST_F(HugePage, FamiliesKeepTheirContents) {
    constexpr uint64_t kPages = 3 * 512;
    std::mt19937 random(7);
    UserAddr at(0x4000'0000);
    const uint64_t huge_before = huge_page_count();
    uint64_t most_huge = 0;
    {
        struct Member { core::Ref<AddressSpace> space; std::map<uint64_t, uint8_t> values; };
        std::vector<Member> family;
        family.push_back({space, {}});
        map_advised(3);
        for (int step = 0; step < 8000; step++) {
            Member& member = family[random() % family.size()];
            AddressSpace& its = *member.space;
            uint64_t page = random() % kPages, count = 1 + random() % 700;
            if (random() % 3 == 0) page = page / 512 * 512, count = 512;
            count = std::min(count, kPages - page);
            UserRange range{at + page * kPageSize, at + (page + count) * kPageSize};
            auto forget = [&] {
                member.values.erase(member.values.lower_bound(page), member.values.lower_bound(page + count));
            };
            switch (random() % 16) {
                case 0:
                    if (family.size() < 6) {
                        Member fresh{*its.fork(), member.values};
                        family.push_back(std::move(fresh));
                    }
                    break;
                case 1:
                    if (family.size() > 1) {
                        std::swap(member, family.back());
                        family.pop_back();
                    }
                    break;
                case 2:
                    ASSERT_TRUE(its.protect(range, random() % 2 ? kR : Protection{}));
                    ASSERT_TRUE(its.protect(range, kRw));
                    break;
                case 3:
                    ASSERT_TRUE(its.advise(range, kAdviceDontNeed));
                    forget();
                    break;
                case 4:
                    ASSERT_TRUE(its.map({.address = range.start, .size = range.size(), .protection = kRw,
                                         .placement = Placement::kFixed}));
                    ASSERT_TRUE(its.advise(range, kAdviceHuge));
                    forget();
                    break;
                case 5: {
                    UserAddr away(0x7000'0000 + (random() % 2) * kPageSize);
                    if (!its.remap(range, range.size(), 1 | 2, away)) break;  // several mappings
                    ASSERT_TRUE(its.remap({away, away + range.size()}, range.size(), 1 | 2, range.start));
                    break;
                }
                case 6: ASSERT_TRUE(its.advise(range, random() % 4 ? kAdviceHuge : kAdviceNoHuge)); break;
                default:
                    for (int i = 0; i < 8; i++) {
                        uint64_t one = random() % kPages;
                        auto found = member.values.find(one);
                        ASSERT_EQ(read_from(its, at + one * kPageSize), found == member.values.end() ? 0 : found->second)
                            << "step " << step << " page " << one;
                        member.values[one] = static_cast<uint8_t>(random() | 1);
                        write_to(its, at + one * kPageSize, member.values[one]);
                    }
            }
            most_huge = std::max(most_huge, huge_page_count() - huge_before);
            if (step % 500 == 0) check_consistency();
            if (step % 50 == 0) {
                Member& one = family[random() % family.size()];
                for (auto& [page, value] : one.values) {
                    ASSERT_EQ(as_the_processor_reads(*one.space, at + page * kPageSize), value) << "step " << step;
                }
            }
        }
        for (Member& member : family) {
            for (auto& [page, value] : member.values) {
                ASSERT_EQ(read_from(*member.space, at + page * kPageSize), value);
                ASSERT_EQ(as_the_processor_reads(*member.space, at + page * kPageSize), value);
            }
        }
        EXPECT_GE(most_huge, 3u);
    }
    ASSERT_TRUE(space->unmap({at, at + kPages * kPageSize}));
    EXPECT_EQ(anonymous(), 0u);
    EXPECT_EQ(huge_page_count(), huge_before);
}

}  // namespace
