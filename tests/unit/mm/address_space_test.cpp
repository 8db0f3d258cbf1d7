// Address spaces against a byte-per-page model, in random sequences, and the cases that a model does not show.
#include "mm/address_space.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <random>

#include "mm/address_space_state.h"
#include "mm_host.h"
#include "page_table_walker.h"
#include "space_fixture.h"

namespace {

using namespace mm;

constexpr Protection kNoAccess{}, kR{true, false, false}, kRw{true, true, false}, kRx{true, false, true};

class Space : public SpaceFixture {};

TEST_F(Space, TextIsCountedThroughSplittingAndJoining) {
    TestFile file(4 * kPageSize);
    constexpr Protection kText{.read = true, .write = false, .execute = true};
    UserAddr at = *space->map({.size = 4 * kPageSize, .protection = kText, .object = file.object});
    EXPECT_EQ(space->sizes().text_pages, 4u);
    UserRange second{at + kPageSize, at + 2 * kPageSize};
    ASSERT_TRUE(space->protect(second, {.read = true}));
    EXPECT_EQ(vma_count(), 3u);
    EXPECT_EQ(space->sizes().text_pages, 3u);
    ASSERT_TRUE(space->protect(second, kText));
    EXPECT_EQ(vma_count(), 1u);
    EXPECT_EQ(space->sizes().text_pages, 4u);
    EXPECT_EQ((*space->fork())->sizes().text_pages, 4u);
    ASSERT_TRUE(space->unmap(second));
    EXPECT_EQ(space->sizes().text_pages, 3u);
    EXPECT_EQ(space->sizes().total_pages, 3u);
}

TEST_F(Space, TouchedMemoryIsZeroAndKeepsWhatIsWritten) {
    UserAddr at = map(3, kRw);
    EXPECT_EQ(read(at), 0);
    write(at + kPageSize, 7);
    EXPECT_EQ(read(at + kPageSize), 7);
    EXPECT_EQ(read(at), 0);
    EXPECT_EQ(space->sizes().resident_pages, 1u);  // the zero page does not count
    EXPECT_EQ(space->sizes().total_pages, 3u);
}

TEST_F(Space, TheProcessorSeesWhatTheTablesSay) {
    UserAddr at = map(4, kRw);
    space->activate();
    uint64_t top = test_support::loaded_table(0).value();
    EXPECT_FALSE(walker::look_up(top, at.value()).present);
    ASSERT_TRUE(space->fault(at, AccessKind::kRead));
    auto page = walker::look_up(top, at.value());
    EXPECT_TRUE(page.present && page.user && !page.writable && !page.executable);
    EXPECT_EQ(page.physical, zero_frame().address().value());
    ASSERT_TRUE(space->fault(at, AccessKind::kWrite));
    page = walker::look_up(top, at.value());
    EXPECT_TRUE(page.present && page.writable);
    ASSERT_TRUE(space->protect({at, at + kPageSize}, kRx));
    page = walker::look_up(top, at.value());
    EXPECT_TRUE(page.present && !page.writable && page.executable);
    ASSERT_TRUE(space->protect({at, at + kPageSize}, kNoAccess));
    EXPECT_FALSE(walker::look_up(top, at.value()).present);
    ASSERT_TRUE(space->protect({at, at + kPageSize}, kRw));
    page = walker::look_up(top, at.value());
    EXPECT_TRUE(page.present && page.writable && !page.executable);
    // A second processor gets a table of its own with the same lower half, and later changes too.
    test_support::set_this_cpu(1);
    space->activate();
    uint64_t second = test_support::loaded_table(1).value();
    EXPECT_NE(second, top);
    EXPECT_EQ(walker::look_up(second, at.value()).physical, page.physical);
    UserAddr far{0x1'0000'0000};
    ASSERT_TRUE(space->map({.address = far, .size = kPageSize, .protection = kRw, .placement = Placement::kFixed}));
    ASSERT_TRUE(space->fault(far, AccessKind::kWrite));
    EXPECT_TRUE(walker::look_up(top, far.value()).present);
    EXPECT_TRUE(walker::look_up(second, far.value()).present);
    // Kernel half: the model decides U/S of the top level; the per-processor slots differ.
    EXPECT_EQ(walker::table_at(top)[256] & 4, 0u);
    EXPECT_NE(walker::table_at(top)[509], walker::table_at(second)[509]);
    space->deactivate();
    test_support::set_this_cpu(0);
    space->deactivate();
    EXPECT_EQ(test_support::loaded_table(0).value(), 0u);
}

TEST_F(Space, FlushesGoToTheProcessorsThatHaveItLoaded) {
    UserAddr at = map(4, kRw);
    write(at, 1);
    space->activate();
    test_support::set_this_cpu(2);
    space->activate();
    test_support::take_flushes();
    ASSERT_TRUE(space->protect({at, at + kPageSize}, kR));
    auto flushes = test_support::take_flushes();
    ASSERT_EQ(flushes.size(), 1u);
    EXPECT_EQ(flushes[0].cpus, 0b101u);
    EXPECT_EQ(flushes[0].start, at.value());
    EXPECT_EQ(flushes[0].end, at.value() + kPageSize);
    space->deactivate();
    test_support::set_this_cpu(0);
    ASSERT_TRUE(space->unmap({at, at + kPageSize}));
    flushes = test_support::take_flushes();
    ASSERT_EQ(flushes.size(), 1u);
    EXPECT_EQ(flushes[0].cpus, 1u);
    space->deactivate();
}

TEST_F(Space, FaultsThatCannotBeResolved) {
    UserAddr at = map(2, kR);
    EXPECT_EQ(space->fault(at + 2 * kPageSize, AccessKind::kRead).error(), FaultError::kNoMapping);
    EXPECT_EQ(space->fault(at, AccessKind::kWrite).error(), FaultError::kNoAccess);
    EXPECT_EQ(space->fault(at, AccessKind::kExecute).error(), FaultError::kNoAccess);
    ASSERT_TRUE(space->protect({at, at + kPageSize}, kNoAccess));
    EXPECT_EQ(space->fault(at, AccessKind::kRead).error(), FaultError::kNoAccess);
    TestFile file(100);
    UserAddr mapped = *space->map({.size = 3 * kPageSize, .protection = kR, .object = file.object});
    EXPECT_TRUE(space->fault(mapped, AccessKind::kRead));
    EXPECT_EQ(space->fault(mapped + kPageSize, AccessKind::kRead).error(), FaultError::kPastEnd);
}

TEST_F(Space, MmapErrors) {
    auto error = [&](MapRequest request) { auto r = space->map(request); return r ? Errno{} : r.error(); };
    EXPECT_EQ(error({.size = 0}), Errno::kInval);
    EXPECT_EQ(error({.size = core::kUserEnd + 1}), Errno::kNoMem);
    EXPECT_EQ(error({.address = UserAddr(0x1001), .size = 1, .placement = Placement::kFixed}), Errno::kInval);
    EXPECT_EQ(error({.address = UserAddr(0x1000), .size = 1, .placement = Placement::kFixed}), Errno::kPerm);
    EXPECT_EQ(error({.address = UserAddr(core::kUserEnd), .size = 1, .placement = Placement::kFixed}), Errno::kNoMem);
    UserAddr at = map(1, kRw);
    EXPECT_EQ(error({.address = at, .size = 1, .placement = Placement::kFixedNoReplace}), Errno::kExist);
    // Overcommit: what exceeds all memory is refused unless it is reserved only.
    EXPECT_EQ(error({.size = uint64_t{1} << 40, .protection = kRw}), Errno::kNoMem);
    EXPECT_EQ(error({.size = uint64_t{1} << 40, .protection = kRw, .no_reserve = true}), Errno{});
    EXPECT_EQ(error({.size = uint64_t{1} << 40, .protection = kNoAccess}), Errno{});
    EXPECT_EQ(space->unmap({UserAddr(0x1001), UserAddr(0x3000)}).error(), Errno::kInval);
    EXPECT_EQ(space->protect({at + kPageSize * 5, at + kPageSize * 6}, kR).error(), Errno::kNoMem);
}

TEST_F(Space, HintsArePlacedIfFreeElseTopDown) {
    UserAddr first = map(4, kRw), second = map(4, kRw);
    EXPECT_EQ(second + 4 * kPageSize, first);  // neighbours
    UserAddr hint{0x5555'0000'0000};
    EXPECT_EQ(*space->map({.address = hint + 5, .size = 1, .protection = kRw}), hint);
    EXPECT_NE(*space->map({.address = hint, .size = 1, .protection = kRw}), hint);
    ASSERT_TRUE(space->unmap({first, first + kPageSize}));
    EXPECT_EQ(map(1, kRw), first);  // the highest hole is taken again
    UserAddr low = *space->map({.size = 1, .protection = kRw, .low = true});
    EXPECT_GE(low.value(), 0x4000'0000u);
    EXPECT_LT(low.value(), 0x8000'0000u);
}

TEST_F(Space, NeighboursAreOneVma) {
    for (int i = 0; i < 10; i++) map(1, kRw);
    EXPECT_EQ(vma_count(), 1u);
    UserAddr at = map(3, kRw);
    ASSERT_TRUE(space->protect({at + kPageSize, at + 2 * kPageSize}, kR));
    EXPECT_EQ(vma_count(), 3u);
    ASSERT_TRUE(space->protect({at + kPageSize, at + 2 * kPageSize}, kRw));
    EXPECT_EQ(vma_count(), 1u);
}

TEST_F(Space, StackGrowsToItsLimitAndKeepsItsGap) {
    UserAddr top{0x7fff'0000'0000};
    space->set_layout(UserAddr(0x7000'0000'0000), top, 1 << 20);
    ASSERT_TRUE(space->map({.address = top - 4 * kPageSize, .size = 4 * kPageSize, .protection = kRw,
                            .placement = Placement::kFixed, .grows_down = true, .label = "[stack]"}));
    EXPECT_TRUE(space->fault(top - 20 * kPageSize, AccessKind::kWrite));
    EXPECT_EQ(space->sizes().total_pages, 20u);
    EXPECT_EQ(space->sizes().stack_pages, 20u);
    EXPECT_TRUE(space->fault(top - (1 << 20), AccessKind::kWrite));
    EXPECT_EQ(space->fault(top - (1 << 20) - 1, AccessKind::kWrite).error(), FaultError::kNoMapping);
    space->set_stack_limit(16 << 20);
    // Another mapping below: 1 MiB stays free, unless it is PROT_NONE.
    UserAddr below = top - (4 << 20);
    ASSERT_TRUE(space->map({.address = below, .size = kPageSize, .protection = kRw, .placement = Placement::kFixed}));
    EXPECT_FALSE(space->fault(below + kPageSize + kStackGuardGap - 1, AccessKind::kWrite));
    EXPECT_TRUE(space->fault(below + kPageSize + kStackGuardGap, AccessKind::kWrite));
    // Nor does a new mapping take the gap.
    UserAddr stack_start = below + kPageSize + kStackGuardGap;
    UserAddr got = *space->map({.address = stack_start - kPageSize, .size = kPageSize, .protection = kRw});
    EXPECT_LT(got, stack_start - kStackGuardGap);
}

TEST_F(Space, Break) {
    UserAddr start{0x5555'0000'0800};
    space->initialize_break(start);
    EXPECT_EQ(space->set_break(UserAddr(0)), start);
    EXPECT_EQ(space->set_break(start + 10000), start + 10000);
    write(start + 0x900, 5);
    EXPECT_EQ(space->set_break(start + 20000), start + 20000);
    EXPECT_EQ(vma_count(), 1u);
    EXPECT_EQ(space->set_break(start + 100), start + 100);
    EXPECT_EQ(space->fault(start + 0x900, AccessKind::kRead).error(), FaultError::kNoMapping);
    EXPECT_EQ(space->set_break(start - 1), start + 100);
    ASSERT_TRUE(space->map({.address = UserAddr(0x5555'0000'4000), .size = 1, .protection = kRw,
                            .placement = Placement::kFixed}));
    EXPECT_EQ(space->set_break(start + 0x10000), start + 100);  // something is in the way
}

TEST_F(Space, RemapGrowsMovesAndShrinks) {
    UserAddr above = map(1, kR);
    UserAddr at = map(4, kRw);
    for (int i = 0; i < 4; i++) write(at + i * kPageSize, static_cast<uint8_t>(i + 1));
    EXPECT_EQ(space->remap({at, at + 4 * kPageSize}, 8 * kPageSize, 0, UserAddr()).error(), Errno::kNoMem);
    UserAddr moved = *space->remap({at, at + 4 * kPageSize}, 8 * kPageSize, 1, UserAddr());
    EXPECT_NE(moved, at);
    for (int i = 0; i < 4; i++) EXPECT_EQ(read(moved + i * kPageSize), i + 1);
    EXPECT_EQ(read(moved + 4 * kPageSize), 0);
    EXPECT_FALSE(space->fault(at, AccessKind::kRead));
    EXPECT_EQ(*space->remap({moved, moved + 8 * kPageSize}, 2 * kPageSize, 0, UserAddr()), moved);
    ASSERT_TRUE(space->unmap({above, above + kPageSize}));
    EXPECT_EQ(space->sizes().total_pages, 2u);
    UserAddr fixed{0x2000'0000'0000};
    EXPECT_EQ(*space->remap({moved, moved + 2 * kPageSize}, 2 * kPageSize, 3, fixed), fixed);
    EXPECT_EQ(read(fixed + kPageSize), 2);
    EXPECT_EQ(space->remap({fixed, fixed + 2 * kPageSize}, 2 * kPageSize, 3, fixed + kPageSize).error(), Errno::kInval);
    EXPECT_EQ(space->remap({at, at + kPageSize}, 2 * kPageSize, 1, UserAddr()).error(), Errno::kFault);
    // MREMAP_DONTUNMAP leaves an empty mapping behind.
    UserAddr other = *space->remap({fixed, fixed + 2 * kPageSize}, 2 * kPageSize, 5, UserAddr());
    EXPECT_EQ(read(other + kPageSize), 2);
    EXPECT_EQ(read(fixed + kPageSize), 0);
    // In place, when what follows is free.
    UserAddr growing{0x3000'0000'0000};
    ASSERT_TRUE(space->map({.address = growing, .size = kPageSize, .protection = kRw, .placement = Placement::kFixed}));
    EXPECT_EQ(*space->remap({growing, growing + kPageSize}, 3 * kPageSize, 0, UserAddr()), growing);
}

TEST_F(Space, RemapIntoTheTableThatItEmpties) {
    // The first page leaves the last entry of a table, and the others move into its first ones.
    const UserAddr table_end{0x2000'0040'0000};
    const UserRange source{table_end - kPageSize, table_end + 2 * kPageSize};
    const UserAddr below = source.start - (uint64_t{2} << 20);
    ASSERT_TRUE(space->map({.address = source.start, .size = source.size(), .protection = kRw,
                            .placement = Placement::kFixed}));
    for (uint8_t i = 0; i < 3; i++) write(source.start + i * kPageSize, static_cast<uint8_t>(i + 1));
    ASSERT_EQ(*space->remap(source, source.size(), 3, below), below);
    for (uint8_t i = 0; i < 3; i++) EXPECT_EQ(read(below + i * kPageSize), i + 1);
    ASSERT_EQ(*space->remap({below, below + source.size()}, source.size(), 3, source.start), source.start);
    for (uint8_t i = 0; i < 3; i++) EXPECT_EQ(read(source.start + i * kPageSize), i + 1);
}

TEST_F(Space, Advice) {
    UserAddr at = map(4, kRw);
    write(at, 9);
    ASSERT_TRUE(space->advise({at, at + kPageSize}, 4));
    EXPECT_EQ(read(at), 0);
    EXPECT_EQ(space->advise({at, at + kPageSize}, 99).error(), Errno::kInval);
    EXPECT_EQ(space->advise({at + 1, at + kPageSize}, 4).error(), Errno::kInval);
    EXPECT_EQ(space->advise({at, at + 5 * kPageSize}, 4).error(), Errno::kNoMem);
    ASSERT_TRUE(space->lock_memory({at, at + kPageSize}, LockMode::kNow));
    EXPECT_EQ(space->sizes().locked_pages, 1u);
    EXPECT_EQ(space->advise({at, at + kPageSize}, 4).error(), Errno::kInval);
    ASSERT_TRUE(space->unlock_memory({at, at + kPageSize}));
    EXPECT_EQ(space->sizes().locked_pages, 0u);
    EXPECT_TRUE(space->advise({at, at + 4 * kPageSize}, 23));
    EXPECT_EQ(space->sizes().resident_pages, 4u);
}

TEST_F(Space, FutexKeys) {
    UserAddr priv = map(1, kRw);
    auto shared = create_shared_memory(2 * kPageSize);
    UserAddr one = *space->map({.size = 2 * kPageSize, .protection = kRw, .sharing = Sharing::kShared, .object = *shared});
    UserAddr two = *space->map({.size = kPageSize, .protection = kRw, .sharing = Sharing::kShared, .object = *shared,
                                .offset = kPageSize});
    EXPECT_EQ(*space->futex_key(one + kPageSize + 8, Sharing::kShared), *space->futex_key(two + 8, Sharing::kShared));
    EXPECT_FALSE(*space->futex_key(one + 8, Sharing::kShared) == *space->futex_key(two + 8, Sharing::kShared));
    EXPECT_EQ(*space->futex_key(priv, Sharing::kShared), *space->futex_key(priv, Sharing::kPrivate));
    EXPECT_EQ(space->futex_key(UserAddr(0x100000), Sharing::kShared).error(), Errno::kFault);
}

TEST_F(Space, EmptyTablesAreFreed) {
    uint64_t tables = memory_statistics().page_table_pages;
    UserAddr at{0x1234'0000'0000};
    ASSERT_TRUE(space->map({.address = at, .size = 6 << 20, .protection = kRw, .placement = Placement::kFixed}));
    for (uint64_t i = 0; i < (6 << 20); i += 1 << 20) write(at + i, 1);
    EXPECT_EQ(memory_statistics().page_table_pages, tables + 5);
    ASSERT_TRUE(space->unmap({at, at + (6 << 20)}));
    EXPECT_EQ(memory_statistics().page_table_pages, tables);
}

TEST_F(Space, SpareTopTableServesWhenMemoryIsShort) {
    UserAddr at = map(1, kRw);
    write(at, 3);
    auto other = *AddressSpace::create(Model::kIsolated);
    other->activate();  // this processor has its spare now
    inject_allocation_failure(1);
    space->activate();
    inject_allocation_failure(0);
    uint64_t top = test_support::loaded_table(0).value();
    EXPECT_TRUE(walker::look_up(top, at.value()).present);
    auto third = *AddressSpace::create(Model::kIsolated);
    inject_allocation_failure(1);
    third->activate();
    inject_allocation_failure(0);
    EXPECT_EQ(test_support::loaded_table(0).value(), top);  // the same spare, rewritten
    EXPECT_FALSE(walker::look_up(top, at.value()).present);
    EXPECT_NE(walker::table_at(top)[256] & 4, 0u);
    space->activate();
    EXPECT_TRUE(walker::look_up(test_support::loaded_table(0).value(), at.value()).present);
    space->deactivate();
}

// --- random sequences against a model ---------------------------------------------------------------------------

struct ModelPage { Protection protection; uint8_t value = 0; };

TEST_F(Space, RandomSequencesAgreeWithAModel) {
    for (unsigned seed = 1; seed <= 30; seed++) {
        std::mt19937 random(seed);
        auto fresh = *AddressSpace::create(Model::kConfined);
        space = fresh;
        constexpr uint64_t kPages = 96;
        UserAddr base{0x4000'0000 - 32 * kPageSize};  // across a leaf table's and a 1 GiB boundary
        std::map<uint64_t, ModelPage> model;
        const Protection protections[] = {kNoAccess, kR, kRw, kRx};
        for (int step = 0; step < 400; step++) {
            uint64_t first = random() % kPages, count = 1 + random() % std::min<uint64_t>(12, kPages - first);
            UserRange range{base + first * kPageSize, base + (first + count) * kPageSize};
            Protection protection = protections[random() % 4];
            bool mapped_whole = true;
            for (uint64_t i = first; i < first + count; i++) mapped_whole &= model.count(i) > 0;
            switch (random() % 6) {
                case 0:
                    ASSERT_TRUE(space->map({.address = range.start, .size = range.size(), .protection = protection,
                                            .placement = Placement::kFixed}));
                    for (uint64_t i = first; i < first + count; i++) model[i] = {protection};
                    break;
                case 1:
                    ASSERT_TRUE(space->unmap(range));
                    for (uint64_t i = first; i < first + count; i++) model.erase(i);
                    break;
                case 2: {
                    auto result = space->protect(range, protection);
                    ASSERT_EQ(result.has_value(), mapped_whole);
                    for (uint64_t i = first; i < first + count && model.count(i); i++) model[i].protection = protection;
                    break;
                }
                case 3: {
                    uint64_t target = random() % (kPages - count + 1);
                    if (!mapped_whole || (target < first + count && first < target + count)) break;
                    bool one_vma = true;
                    for (uint64_t i = first + 1; i < first + count; i++) {
                        one_vma &= model[i].protection == model[first].protection;
                    }
                    if (!one_vma) break;
                    UserAddr to = base + target * kPageSize;
                    ASSERT_TRUE(space->remap(range, range.size(), 3, to));
                    for (uint64_t i = 0; i < count; i++) {
                        model[target + i] = model[first + i];
                        model.erase(first + i);
                    }
                    break;
                }
                case 4: {
                    auto result = space->advise(range, 4);
                    ASSERT_EQ(result.has_value(), mapped_whole);
                    for (uint64_t i = first; i < first + count; i++) if (model.count(i)) model[i].value = 0;
                    break;
                }
                default:
                    for (uint64_t i = first; i < first + count; i++) {
                        uint8_t value = static_cast<uint8_t>(random());
                        std::byte byte{value};
                        bool expected = model.count(i) && model[i].protection.write;
                        ASSERT_EQ(space->write_memory(base + i * kPageSize + 100, {&byte, 1}).has_value(), expected);
                        if (expected) model[i].value = value;
                    }
            }
            uint64_t lines = 0, pages = 0;
            std::optional<Protection> last;
            for (uint64_t i = 0; i < kPages; i++) {
                auto page = model.find(i);
                std::byte byte{};
                auto result = space->read_memory(base + i * kPageSize + 100, {&byte, 1});
                bool readable = page != model.end() && page->second.protection != kNoAccess;
                ASSERT_EQ(result.has_value(), readable) << "seed " << seed << " step " << step << " page " << i;
                if (readable) {
                    ASSERT_EQ(static_cast<uint8_t>(byte), page->second.value) << seed << " " << step << " " << i;
                }
                std::optional<Protection> now;
                if (page != model.end()) now = page->second.protection, pages++;
                if (now && now != last) lines++;
                last = now;
            }
            ASSERT_EQ(space->sizes().total_pages, pages);
            ASSERT_EQ(vma_count(), lines) << "seed " << seed << " step " << step;
            check_consistency();
        }
    }
}

// --- failure at every allocation --------------------------------------------------------------------------------

TEST_F(Space, FailureAtEveryAllocationLosesNothing) {
    TestFile file(20 * kPageSize);
    uint64_t free_before = all_free();
    uint64_t count = test_support::fail_each_allocation([&] {
        bool good = true;
        auto note = [&](auto&& result) { good &= static_cast<bool>(result); return static_cast<bool>(result); };
        auto made = AddressSpace::create(Model::kConfined);
        if (!note(made)) return false;
        auto fresh = *made;
        UserAddr at{0x2000'0000};
        note(fresh->map({.address = at, .size = 16 * kPageSize, .protection = kRw, .placement = Placement::kFixed}));
        note(fresh->map({.size = 4 * kPageSize, .protection = kRw, .sharing = Sharing::kShared}));
        note(fresh->map({.size = 4 * kPageSize, .protection = kRw, .object = file.object}));
        for (int i = 0; i < 16; i += 3) note(fresh->fault(at + i * kPageSize, AccessKind::kWrite));
        note(fresh->protect({at + 2 * kPageSize, at + 5 * kPageSize}, kR));
        note(fresh->remap({at + 6 * kPageSize, at + 8 * kPageSize}, 4 * kPageSize, 1, UserAddr()));
        auto child = fresh->fork();
        if (note(child)) note((*child)->write_memory(at, std::as_bytes(std::span("hello"))));
        note(fresh->unmap({at + 9 * kPageSize, at + 11 * kPageSize}));
        auto lines = test_support::take_flushes();
        return good;
    });
    EXPECT_GT(count, 20u);
    EXPECT_EQ(all_free(), free_before);
}

}  // namespace
