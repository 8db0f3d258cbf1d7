// PCIDs: which a processor chooses and when it may keep what it has cached; and that no change of tables leaves behind
// what a processor could still use, with processors that remember everything.
#include <gtest/gtest.h>

#include <random>

#include "space_fixture.h"
#include "tlb_model.h"

namespace {

using namespace mm;
using arch::Model;
using arch::Pcids;

constexpr Protection kR{true, false, false}, kRw{true, true, false};

TEST(Pcids, AreKeptForUnchangedTables) {
    Pcids pcids;
    auto first = pcids.load(1, Model::kConfined, 5);
    EXPECT_NE(first.pcid, 0u);
    EXPECT_FALSE(first.keeps);
    auto other = pcids.load(2, Model::kConfined, 0);
    EXPECT_NE(other.pcid, first.pcid);
    auto again = pcids.load(1, Model::kConfined, 5);
    EXPECT_EQ(again.pcid, first.pcid);
    EXPECT_TRUE(again.keeps);
}

TEST(Pcids, ChangedTablesAreFlushedWhenLoaded) {
    Pcids pcids;
    pcids.load(1, Model::kConfined, 5);
    pcids.load(2, Model::kConfined, 0);
    EXPECT_FALSE(pcids.load(1, Model::kConfined, 6).keeps);
    EXPECT_TRUE(pcids.load(1, Model::kConfined, 6).keeps);
}

TEST(Pcids, ModelsOfASpaceHaveTheirOwn) {
    Pcids pcids;
    auto isolated = pcids.load(1, Model::kIsolated, 0);
    auto confined = pcids.load(1, Model::kConfined, 0);
    EXPECT_NE(isolated.pcid, confined.pcid);
    EXPECT_FALSE(confined.keeps);
}

TEST(Pcids, LeastRecentlyUsedGivesWay) {
    Pcids pcids;
    auto first = pcids.load(1, Model::kConfined, 0);
    auto second = pcids.load(2, Model::kConfined, 0);
    for (unsigned space = 3; space <= Pcids::kPrograms; space++) pcids.load(space, Model::kConfined, 0);
    EXPECT_TRUE(pcids.load(1, Model::kConfined, 0).keeps);
    auto newcomer = pcids.load(100, Model::kConfined, 0);
    EXPECT_EQ(newcomer.pcid, second.pcid);
    EXPECT_FALSE(newcomer.keeps);
    EXPECT_EQ(pcids.load(1, Model::kConfined, 0).pcid, first.pcid);
    EXPECT_FALSE(pcids.load(2, Model::kConfined, 0).keeps);
}

TEST(Pcids, AFlushOfTheLoadedTablesIsNotDoneAgain) {
    Pcids pcids;
    pcids.load(1, Model::kConfined, 5);
    pcids.note({.start = 0x1000, .end = 0x2000, .space = 1, .generation = 6});
    pcids.load(2, Model::kConfined, 0);
    EXPECT_TRUE(pcids.load(1, Model::kConfined, 6).keeps);
}

TEST(Pcids, FlushesOutOfOrderAreDoneAgain) {
    Pcids pcids;
    pcids.load(1, Model::kConfined, 5);
    pcids.note({.start = 0x1000, .end = 0x2000, .space = 1, .generation = 7});
    pcids.note({.start = 0x1000, .end = 0x2000, .space = 1, .generation = 6});
    EXPECT_FALSE(pcids.load(1, Model::kConfined, 7).keeps);
}

TEST(Pcids, AFlushOfOtherTablesDoesNotCount) {
    Pcids pcids;
    pcids.load(1, Model::kConfined, 5);
    pcids.load(2, Model::kConfined, 5);
    pcids.note({.start = 0x1000, .end = 0x2000, .space = 1, .generation = 6});  // late: 2 is loaded
    EXPECT_FALSE(pcids.load(1, Model::kConfined, 6).keeps);
    EXPECT_FALSE(pcids.load(2, Model::kConfined, 6).keeps);
}

TEST(Pcids, ChangesOfTheKernelHalfConcernAll) {
    Pcids pcids;
    pcids.load_kernel_table();
    EXPECT_TRUE(pcids.load_kernel_table().keeps);
    pcids.load(1, Model::kConfined, 0);
    pcids.load(2, Model::kConfined, 0);
    pcids.note({.start = 0x1000, .end = 0x2000});
    EXPECT_TRUE(pcids.load(2, Model::kConfined, 0).keeps);  // was loaded: flushed itself
    EXPECT_FALSE(pcids.load(1, Model::kConfined, 0).keeps);
    EXPECT_FALSE(pcids.load_kernel_table().keeps);
}

TEST(Pcids, ARequestWithoutPagesForgetsNothing) {  // membarrier(2)
    Pcids pcids;
    pcids.load(1, Model::kConfined, 0);
    pcids.load(2, Model::kConfined, 0);
    pcids.note({});
    EXPECT_TRUE(pcids.load(1, Model::kConfined, 0).keeps);
}

class RememberingProcessors : public SpaceFixture {
  protected:
    static constexpr uint64_t kRegion = 48, kFile = 256;  // pages
    static constexpr uint64_t kHuge = core::kHugePageSize;
    const UserAddr small{0x2000'0000 - 16 * kPageSize};  // across two leaf tables
    const UserAddr large{0x4000'0000};                   // 2 of 2 MiB

    void SetUp() override {
        SpaceFixture::SetUp();
        test_support::use_tlb_model(&model);
        file.emplace(kFile * kPageSize);
        ASSERT_TRUE(space->map({.address = small, .size = kRegion * kPageSize, .protection = kRw,
                                .placement = Placement::kFixed}));
        ASSERT_TRUE(space->map({.address = large, .size = 2 * kHuge, .protection = kRw,
                                .placement = Placement::kFixed}));
        ASSERT_TRUE(space->advise({large, large + 2 * kHuge}, 14));  // MADV_HUGEPAGE
        spaces.push_back(std::move(space));
    }
    void TearDown() override {
        for (unsigned cpu = 0; cpu < test_support::TlbModel::kCpus; cpu++) {
            test_support::set_this_cpu(cpu);
            for (auto& each : spaces) each->deactivate();
        }
        spaces.clear();
        file.reset();
        test_support::use_tlb_model(nullptr);
    }
    uint64_t any(uint64_t below) { return random() % below; }
    UserRange some_pages() {
        uint64_t first = any(kRegion), count = 1 + any(std::min<uint64_t>(kRegion - first, 40));
        return {small + first * kPageSize, small + (first + count) * kPageSize};
    }

    // One thing that a program or the kernel may do, on the processor that runs it.
    void act() {
        test_support::set_this_cpu(static_cast<unsigned>(any(test_support::TlbModel::kCpus)));
        AddressSpace& chosen = *spaces[any(spaces.size())];
        const UserRange pages = some_pages();
        switch (any(14)) {
            case 0: case 1: case 2: return chosen.activate();
            case 3: return chosen.deactivate();
            case 4: case 5: return (void)chosen.fault(pages.start, AccessKind::kWrite);
            case 6: return (void)chosen.fault(pages.start, AccessKind::kRead);
            case 7: return (void)chosen.fault(large + any(2 * kHuge), any(2) ? AccessKind::kWrite : AccessKind::kRead);
            case 8: return (void)chosen.protect(pages, any(2) ? kR : kRw);
            case 9: return (void)chosen.advise(pages, 4);  // MADV_DONTNEED
            case 10:
                if (any(2)) return (void)chosen.advise({large + kHuge, large + kHuge + pages.size()}, 4);
                return (void)chosen.remap(pages, pages.size(), 3, small + (kRegion + any(64)) * kPageSize);
            case 11: {
                MapRequest request{.address = pages.start, .size = pages.size(), .protection = kRw,
                                   .placement = Placement::kFixed};
                if (any(2)) {
                    request.object = file->object;
                    request.sharing = any(2) ? Sharing::kShared : Sharing::kPrivate;
                }
                return (void)chosen.map(request);
            }
            case 12:
                if (spaces.size() < 12) {
                    auto child = chosen.fork();
                    if (child) spaces.push_back(*child);
                } else {
                    const uint64_t index = any(spaces.size());
                    for (unsigned cpu = 0; cpu < test_support::TlbModel::kCpus; cpu++) {
                        test_support::set_this_cpu(cpu);
                        spaces[index]->deactivate();
                    }
                    spaces.erase(spaces.begin() + static_cast<ptrdiff_t>(index));
                }
                return;
            default: (*file)->cache.truncate(any(kRegion) * kPageSize); return;
        }
    }

    test_support::TlbModel model;
    std::optional<TestFile> file;
    std::vector<core::Ref<AddressSpace>> spaces;
    std::mt19937_64 random{20};
};

TEST_F(RememberingProcessors, ForgetPagesOfFilesInSharedTablesThatAreNotLoaded) {
    const UserAddr at{0x6000'0000};
    ASSERT_TRUE(spaces[0]->map({.address = at, .size = kFile * kPageSize, .protection = kRw,
                                .placement = Placement::kFixed, .object = file->object}));
    for (uint64_t page = 0; page < kFile - 1; page++) write_to(*spaces[0], at + page * kPageSize, 200);
    ASSERT_TRUE(spaces[0]->fault(at + (kFile - 1) * kPageSize, AccessKind::kRead));
    spaces.push_back(*spaces[0]->fork());
    spaces.push_back(*AddressSpace::create(Model::kConfined));
    for (unsigned each : {0, 1}) {
        spaces[each]->activate();
        model.remember_all();
    }
    spaces[2]->activate();
    (*file)->cache.truncate(0);
    for (unsigned each : {0, 1}) {
        spaces[each]->activate();
        EXPECT_EQ(model.first_stale(), "");
    }
}

TEST_F(RememberingProcessors, FindNothingStale) {
    for (unsigned step = 0; step < 6000; step++) {
        act();
        ASSERT_EQ(model.first_stale(), "") << "after step " << step;
        model.remember_all();
    }
    EXPECT_GT(model.kept_loads(), 100u);
}

}  // namespace
