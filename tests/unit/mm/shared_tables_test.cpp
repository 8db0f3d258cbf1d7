// Leaf tables that spaces share after fork: who copies them when, and that nobody sees another's changes.
#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "space_fixture.h"

namespace {

using namespace mm;

constexpr Protection kR{true, false, false}, kRw{true, true, false};
constexpr uint64_t kLeaf = 512 * kPageSize;
constexpr uint64_t kStride = 4;
constexpr int kAdviceDontNeed = 4, kAdviceDontFork = 10;

class SharedTables : public SpaceFixture {
  protected:
    // `leaves` * 2 MiB of memory, aligned; every 4th page is in use, enough for the tables to be shared.
    UserAddr map_leaves(uint64_t leaves, Protection protection = kRw) {
        UserAddr at(0x4000'0000);
        MapRequest request;
        request.address = at;
        request.placement = Placement::kFixed;
        request.size = leaves * kLeaf;
        request.protection = protection;
        EXPECT_TRUE(space->map(request));
        for (uint64_t page = 0; page < leaves * 512; page += kStride) write(at + page * kPageSize, value_of(page));
        return at;
    }
    static uint8_t value_of(uint64_t page) { return static_cast<uint8_t>(page / kStride % 251 + 1); }
    void expect_intact(AddressSpace& in, UserAddr at, uint64_t leaves) {
        for (uint64_t page = 0; page < leaves * 512; page += kStride) {
            ASSERT_EQ(read_from(in, at + page * kPageSize), value_of(page)) << page;
        }
    }
    static uint64_t tables() { return memory_statistics().page_table_pages; }
    walker::Page look(UserAddr at) {
        space->activate();
        walker::Page page = walker::look_up(test_support::loaded_table(0).value(), at.value());
        space->deactivate();
        return page;
    }
};

TEST_F(SharedTables, ForkMakesNoLeafTables) {
    UserAddr at = map_leaves(8);
    look(at);  // makes the top-level table
    uint64_t before = tables();
    auto child = *space->fork();
    EXPECT_EQ(tables() - before, 2u);  // those of levels 3 and 2
    EXPECT_FALSE(look(at).writable);
    expect_intact(*child, at, 8);
    EXPECT_EQ(tables() - before, 2u);
    EXPECT_EQ(child->sizes().resident_pages, space->sizes().resident_pages);
}

TEST_F(SharedTables, TheFirstWriteCopiesOneTableAndOnePage) {
    UserAddr at = map_leaves(4);
    auto child = *space->fork();
    uint64_t before = tables(), pages = memory_statistics().anonymous_pages;
    write_to(*child, at + kLeaf, 99);
    EXPECT_EQ(tables() - before, 1u);
    EXPECT_EQ(memory_statistics().anonymous_pages - pages, 1u);
    expect_intact(*space, at, 4);
    // The parent has the old table alone now: no second copy of it.
    write(at + kLeaf + 64 * kPageSize, 77);
    EXPECT_EQ(tables() - before, 1u);
    EXPECT_EQ(read_from(*child, at + kLeaf + 64 * kPageSize), value_of(512 + 64));
    EXPECT_FALSE(look(at + kLeaf + 128 * kPageSize).writable);  // the child has this page too
}

TEST_F(SharedTables, WhoIsLeftAloneMayWriteAtOnce) {
    UserAddr at = map_leaves(2);
    auto child = *space->fork();
    child = nullptr;
    look(at);
    uint64_t before = tables(), pages = memory_statistics().anonymous_pages;
    write(at, 5);
    EXPECT_TRUE(look(at + 64 * kPageSize).writable);
    EXPECT_EQ(tables(), before);
    EXPECT_EQ(memory_statistics().anonymous_pages, pages);
}

TEST_F(SharedTables, AProcessorForgetsATableBeforeItIsLeft) {
    UserAddr at = map_leaves(1);
    auto child = *space->fork();
    space->activate();
    test_support::take_flushes();
    write(at, 5);
    auto flushes = test_support::take_flushes();
    ASSERT_FALSE(flushes.empty());
    EXPECT_EQ(flushes[0].start, at.value());
    space->deactivate();
}

TEST_F(SharedTables, UnmappingAllOfATableCopiesNothing) {
    UserAddr at = map_leaves(3);
    auto child = *space->fork();
    uint64_t before = tables();
    ASSERT_TRUE(child->unmap({at, at + 3 * kLeaf}));
    EXPECT_LE(tables(), before);
    expect_intact(*space, at, 3);
    ASSERT_TRUE(space->unmap({at, at + 3 * kLeaf}));
    EXPECT_EQ(memory_statistics().anonymous_pages, 0u);
}

TEST_F(SharedTables, ChangesOfAPartAreNotSeenByOthers) {
    UserAddr at = map_leaves(4);
    auto child = *space->fork();
    ASSERT_TRUE(child->unmap({at + 64 * kPageSize, at + 128 * kPageSize}));
    ASSERT_TRUE(child->advise({at + kLeaf, at + kLeaf + 64 * kPageSize}, kAdviceDontNeed));
    ASSERT_TRUE(child->protect({at + 2 * kLeaf, at + 2 * kLeaf + 64 * kPageSize}, kR));
    ASSERT_TRUE(child->remap({at + 3 * kLeaf, at + 3 * kLeaf + 64 * kPageSize}, 64 * kPageSize, 1 | 2,
                             UserAddr(0x7000'0000)));
    EXPECT_EQ(read_from(*child, at + kLeaf), 0);
    EXPECT_EQ(read_from(*child, UserAddr(0x7000'0000)), value_of(3 * 512));
    expect_intact(*space, at, 4);
    for (uint64_t leaf = 0; leaf < 4; leaf++) write(at + leaf * kLeaf, 100);
    EXPECT_EQ(read_from(*child, at + 2 * kLeaf), value_of(2 * 512));
    EXPECT_EQ(read_from(*child, UserAddr(0x7000'0000)), value_of(3 * 512));
}

TEST_F(SharedTables, ReadingWhatIsAbsentCopiesTheTable) {
    UserAddr at = map_leaves(1);
    auto child = *space->fork();
    uint64_t before = tables();
    EXPECT_EQ(read_from(*child, at + kPageSize), 0);
    EXPECT_EQ(tables() - before, 1u);
    EXPECT_FALSE(look(at + kPageSize).present);
}

TEST_F(SharedTables, ARangeThatTheChildMustNotHaveIsNotShared) {
    UserAddr at = map_leaves(2);
    ASSERT_TRUE(space->advise({at + 64 * kPageSize, at + 65 * kPageSize}, kAdviceDontFork));
    auto child = *space->fork();
    EXPECT_EQ(child->fault(at + 64 * kPageSize, AccessKind::kRead).error(), FaultError::kNoMapping);
    EXPECT_EQ(read_from(*child, at + 128 * kPageSize), value_of(128));
    EXPECT_TRUE(look(at + 64 * kPageSize).writable);
    write_to(*child, at, 9);
    expect_intact(*space, at, 2);
}

TEST_F(SharedTables, TruncatedFilesVanishFromAllSharers) {
    TestFile file(256 * kPageSize);
    UserAddr at = *space->map({.address = UserAddr(0x4000'0000), .size = 256 * kPageSize, .protection = kRw,
                               .placement = Placement::kFixed, .object = file.object});
    for (int page = 0; page < 128; page++) write(at + page * kPageSize, 200);
    EXPECT_EQ(read(at + 200 * kPageSize), 201);
    auto child = *space->fork(), grandchild = *child->fork();
    write_to(*grandchild, at, 3);  // has its own copy of the table
    space->activate();
    test_support::take_flushes();
    file->size = 8 * kPageSize;
    file->cache.truncate(8 * kPageSize);
    auto flushes = test_support::take_flushes();
    ASSERT_FALSE(flushes.empty());
    EXPECT_TRUE(flushes[0].everything);
    EXPECT_EQ(flushes[0].cpus, ~uint64_t{0});
    space->deactivate();
    for (AddressSpace* each : {space.get(), child.get(), grandchild.get()}) {
        EXPECT_EQ(each->fault(at + 20 * kPageSize, AccessKind::kRead).error(), FaultError::kPastEnd);
        EXPECT_EQ(each->fault(at + 200 * kPageSize, AccessKind::kRead).error(), FaultError::kPastEnd);
        EXPECT_EQ(read_from(*each, at + 7 * kPageSize), 200);
        EXPECT_EQ(each->sizes().resident_pages, 8u);
    }
    EXPECT_EQ(memory_statistics().anonymous_pages, 9u);
}

TEST_F(SharedTables, SharedMappingsInASharedTableStayShared) {
    UserAddr own = map_leaves(1), at = own + 64 * kPageSize;
    ASSERT_TRUE(space->map({.address = at, .size = 64 * kPageSize, .protection = kRw, .sharing = Sharing::kShared,
                            .placement = Placement::kFixed}));
    write(at, 1);
    write(own, 1);
    auto child = *space->fork();
    write_to(*child, at, 2);
    write_to(*child, own, 2);
    EXPECT_EQ(read(at), 2);
    EXPECT_EQ(read(own), 1);
    write(at, 3);
    EXPECT_EQ(read_from(*child, at), 3);
}

// Every change that has to copy a table, with every allocation failing in turn: nothing is lost and nobody sees it.
TEST_F(SharedTables, FailureAtEveryAllocation) {
    UserAddr at = map_leaves(2);
    auto child = *space->fork();
    using Change = std::function<bool(AddressSpace&)>;
    UserAddr middle = at + 64 * kPageSize;
    UserRange part{middle, middle + 256 * kPageSize};
    Change changes[] = {
        [&](AddressSpace& in) { return static_cast<bool>(in.fault(at, AccessKind::kWrite)); },
        [&](AddressSpace& in) { return static_cast<bool>(in.protect(part, kR)); },
        [&](AddressSpace& in) { return static_cast<bool>(in.advise({middle, middle + kPageSize}, kAdviceDontNeed)); },
        [&](AddressSpace& in) { return static_cast<bool>(in.unmap(part)); },
        [&](AddressSpace& in) {
            return static_cast<bool>(in.remap({at, at + 64 * kPageSize}, 64 * kPageSize, 1 | 2, UserAddr(0x7000'0000)));
        },
    };
    for (const Change& change : changes) {
        uint64_t free_before = all_free();
        for (uint64_t n = 1;; n++) {
            auto victim = *space->fork();
            inject_allocation_failure(n);
            bool succeeded = change(*victim);
            bool reached = detail::failure_countdown.load() == 0;
            inject_allocation_failure(0);
            if (succeeded && !reached) break;
            ASSERT_TRUE(!succeeded || n > 1);
            if (!succeeded) expect_intact(*victim, at, 2);
            victim = nullptr;
            expect_intact(*space, at, 2);
            ASSERT_EQ(all_free(), free_before);
        }
        expect_intact(*space, at, 2);
        expect_intact(*child, at, 2);
        EXPECT_EQ(all_free(), free_before);
    }
}

// Families of spaces that change their memory in all ways, against a model of each.
TEST_F(SharedTables, FamiliesKeepTheirContents) {
    constexpr uint64_t kPages = 3 * 512;
    std::mt19937 random(11);
    UserAddr at(0x4000'0000);
    auto map_again = [&](AddressSpace& in, uint64_t page, uint64_t count) {
        ASSERT_TRUE(in.map({.address = at + page * kPageSize, .size = count * kPageSize, .protection = kRw,
                            .placement = Placement::kFixed}));
    };
    {
        struct Member { core::Ref<AddressSpace> space; std::map<uint64_t, uint8_t> values; };
        std::vector<Member> family;
        auto found_family = [&] {
            map_again(*space, 0, kPages);
            Member root{space, {}};
            for (uint64_t page = 0; page < kPages; page += kStride) {
                root.values[page] = static_cast<uint8_t>(random());
                write(at + page * kPageSize, root.values[page]);
            }
            family.clear();
            family.push_back(std::move(root));
        };
        found_family();
        for (int step = 0; step < 6000; step++) {
            Member& member = family[random() % family.size()];
            AddressSpace& its = *member.space;
            uint64_t page = random() % kPages / kStride * kStride, count = std::min<uint64_t>(1 + random() % 700, kPages - page);
            UserRange range{at + page * kPageSize, at + (page + count) * kPageSize};
            auto forget = [&] {
                member.values.erase(member.values.lower_bound(page), member.values.lower_bound(page + count));
            };
            switch (random() % 24) {
                case 0:
                case 1:
                    if (family.size() < 10) {
                        Member fresh{*its.fork(), member.values};
                        family.push_back(std::move(fresh));
                    }
                    break;
                case 2:
                    if (family.size() > 1) {
                        std::swap(member, family.back());
                        family.pop_back();
                    }
                    break;
                case 3:
                    ASSERT_TRUE(its.protect(range, random() % 2 ? kR : Protection{}));
                    ASSERT_TRUE(its.protect(range, kRw));
                    break;
                case 4:
                    ASSERT_TRUE(its.advise(range, kAdviceDontNeed));
                    forget();
                    break;
                case 5:
                    ASSERT_TRUE(its.unmap(range));
                    map_again(its, page, count);
                    forget();
                    break;
                case 6: {
                    UserAddr away(0x9000'0000 + random() % 512 * kPageSize);
                    ASSERT_TRUE(its.remap(range, range.size(), 1 | 2, away));
                    ASSERT_TRUE(its.remap({away, away + range.size()}, range.size(), 1 | 2, range.start));
                    break;
                }
                default: {
                    uint8_t value = static_cast<uint8_t>(random());
                    write_to(its, at + page * kPageSize, value);
                    member.values[page] = value;
                }
            }
            for (Member& each : family) {
                uint64_t looked = random() % kPages / kStride * kStride;
                auto found = each.values.find(looked);
                ASSERT_EQ(read_from(*each.space, at + looked * kPageSize),
                          found == each.values.end() ? 0 : found->second) << step;
            }
            if (step % 512 == 511) {  // a new family, from one of the old
                space = family[random() % family.size()].space;
                check_consistency();
                family.clear();
                ASSERT_TRUE(space->unmap({at, at + kPages * kPageSize}));
                EXPECT_EQ(memory_statistics().anonymous_pages, 0u);
                found_family();
            }
        }
    }
    ASSERT_TRUE(space->unmap({at, at + kPages * kPageSize}));
    EXPECT_EQ(memory_statistics().anonymous_pages, 0u);
}

}  // namespace
