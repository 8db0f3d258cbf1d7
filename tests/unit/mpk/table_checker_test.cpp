#include "mpk/table_checker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <vector>

namespace {

using arch::Model;
using arch::PageEntry;
using arch::PageTable;
using core::Pfn;
using mpk::Violation;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr mpk::ExposedPage kExposed[] = {{0x0000, false, true}, {0x1000, false, true}, {0x10000, false, false},
                                         {0x12000, true, false}};
constexpr uint64_t kCode = PageEntry::kPresent | PageEntry::kUser | PageEntry::kAccessed;
constexpr uint64_t kReadOnly = kCode | PageEntry::kNoExecute;
constexpr uint64_t kReadWrite = kReadOnly | PageEntry::kWrite | PageEntry::kDirty;
constexpr uint64_t kKernel = PageEntry::key_bits(arch::kKernelKey);
constexpr uint64_t kProgramPage = 0x400000, kImagePage = arch::kKernelImageBase + 0x100000;

// Page tables of a small machine, made by hand: entries are looked up and changed by address.
class Tables {
  public:
    explicit Tables(Model model) : model_(model), top_(new_table()) {
        uint64_t hidden = model == Model::kIsolated ? 0 : PageEntry::kUser;
        map(kProgramPage, Pfn(100), kCode);
        map(0x7fff'0000'0000, Pfn(101), kReadWrite);
        map(arch::kDirectMapBase, Pfn(512), kReadWrite | PageEntry::kLarge | kKernel, 2);
        map(kImagePage, Pfn(200), kCode | kKernel);
        map(arch::kProcessorDataBase, Pfn(201), kReadWrite | kKernel);
        for (const auto& page : kExposed) {
            uint64_t flags = page.writable ? kReadWrite : page.executable ? kCode : kReadOnly;
            map(arch::kExposedBase + page.offset, Pfn(210 + page.offset / 4096), flags | kKernel);
        }
        for (unsigned slot = 256; slot < 512; slot++) {
            PageEntry entry = tables_[top_]->get(slot);
            if (entry.is_empty()) continue;
            tables_[top_]->set(slot, entry.without(slot == 510 ? PageEntry::kUser : hidden));
        }
    }

    void map(uint64_t address, Pfn frame, uint64_t flags, unsigned level = 1) {
        change(address, level, PageEntry(frame, flags));
    }
    void change(uint64_t address, unsigned level, PageEntry entry) {
        table_for(address, level)->set(arch::table_index(address, level), entry);
    }
    PageEntry get(uint64_t address, unsigned level) {
        return table_for(address, level)->get(arch::table_index(address, level));
    }
    void add(uint64_t address, unsigned level, uint64_t bits) {
        change(address, level, get(address, level).with(bits));
    }
    void remove(uint64_t address, unsigned level, uint64_t bits) {
        change(address, level, get(address, level).without(bits));
    }
    void forget_table_of(uint64_t address) { tables_.erase(get(address, 2).frame()); }
    void make_foreign(Pfn frame) { foreign_.insert(frame); }

    std::vector<Violation> check() {
        found_.clear();
        mpk::CheckedTable table{
            .top = top_,
            .model = model_,
            .exposed = kExposed,
            .read = [](void* self, Pfn frame) -> const PageTable* {
                auto& tables = static_cast<Tables*>(self)->tables_;
                auto found = tables.find(frame);
                return found == tables.end() ? nullptr : found->second.get();
            },
            .is_program_frame = [](void* self, Pfn f) { return !static_cast<Tables*>(self)->foreign_.contains(f); },
            .context = this,
        };
        unsigned count = mpk::check_table(table, [](void* self, const mpk::Finding& finding) {
            static_cast<Tables*>(self)->found_.push_back(finding);
        });
        EXPECT_EQ(count, found_.size());
        std::vector<Violation> violations;
        for (const auto& finding : found_) violations.push_back(finding.violation);
        return violations;
    }
    const mpk::Finding& finding() const { return found_.at(0); }

  private:
    struct Less {
        bool operator()(Pfn a, Pfn b) const { return a.number() < b.number(); }
    };

    Pfn new_table() {
        Pfn frame(1000 + tables_.size());
        tables_[frame] = std::make_unique<PageTable>();
        for (unsigned i = 0; i < 512; i++) tables_[frame]->set(i, PageEntry());
        return frame;
    }
    PageTable* table_for(uint64_t address, unsigned level) {
        PageTable* table = tables_[top_].get();
        for (unsigned at = 4; at > level; at--) {
            unsigned index = arch::table_index(address, at);
            if (table->get(index).is_empty()) {
                bool kernel = address >> 63;
                table->set(index, kernel ? PageEntry::kernel_table(new_table()) : PageEntry::user_table(new_table()));
            }
            table = tables_[table->get(index).frame()].get();
        }
        return table;
    }

    Model model_;
    std::map<Pfn, std::unique_ptr<PageTable>, Less> tables_;
    std::set<Pfn, Less> foreign_;
    Pfn top_;
    std::vector<mpk::Finding> found_;
};

TEST(TableChecker, GoodTablesOfAllModels) {
    for (Model model : {Model::kConfined, Model::kIsolated, Model::kNone}) EXPECT_THAT(Tables(model).check(), IsEmpty());
}

TEST(TableChecker, KernelPageWithoutTheKernelsKey) {
    Tables tables(Model::kIsolated);
    tables.remove(kImagePage, 1, PageEntry::kKeyMask);
    EXPECT_THAT(tables.check(), ElementsAre(Violation::kKernelKeyMissing));
    EXPECT_EQ(tables.finding().address, kImagePage);
    EXPECT_EQ(tables.finding().level, 1u);
}

TEST(TableChecker, LargeKernelPageWithoutTheKernelsKey) {
    Tables tables(Model::kIsolated);
    tables.remove(arch::kDirectMapBase, 2, PageEntry::kKeyMask);
    EXPECT_THAT(tables.check(), ElementsAre(Violation::kKernelKeyMissing));
    EXPECT_EQ(tables.finding().level, 2u);
}

TEST(TableChecker, GlobalPages) {
    for (uint64_t address : {kImagePage, kProgramPage, arch::kExposedBase}) {
        Tables tables(Model::kConfined);
        tables.add(address, 1, PageEntry::kGlobal);
        EXPECT_THAT(tables.check(), ElementsAre(Violation::kGlobal));
    }
}

TEST(TableChecker, TopLevelEntriesMatchTheModel) {
    Tables isolated(Model::kIsolated), confined(Model::kConfined), exposed(Model::kIsolated);
    isolated.remove(arch::kDirectMapBase, 4, PageEntry::kUser);
    EXPECT_THAT(isolated.check(), ElementsAre(Violation::kTopUserBit));
    confined.add(arch::kDirectMapBase, 4, PageEntry::kUser);
    EXPECT_THAT(confined.check(), ElementsAre(Violation::kTopUserBit));
    exposed.add(arch::kExposedBase, 4, PageEntry::kUser);
    EXPECT_THAT(exposed.check(), ElementsAre(Violation::kTopUserBit));
}

TEST(TableChecker, KernelEntriesBelowTheTopSayUser) {
    Tables middle(Model::kIsolated), leaf(Model::kConfined);
    middle.remove(kImagePage, 3, PageEntry::kUser);
    EXPECT_THAT(middle.check(), ElementsAre(Violation::kKernelUserBit));
    leaf.remove(kImagePage, 1, PageEntry::kUser);
    EXPECT_THAT(leaf.check(), ElementsAre(Violation::kKernelUserBit));
}

TEST(TableChecker, KernelTextIsNotWritable) {
    Tables tables(Model::kConfined);
    tables.add(kImagePage, 1, PageEntry::kWrite);
    EXPECT_THAT(tables.check(), ElementsAre(Violation::kKernelWritableCode));
    tables.remove(kImagePage, 2, PageEntry::kWrite);  // what is above decides too
    EXPECT_THAT(tables.check(), IsEmpty());
}

TEST(TableChecker, ExposedSlotHoldsItsListOnly) {
    Tables more(Model::kIsolated), fewer(Model::kIsolated), behind(Model::kConfined), large(Model::kIsolated);
    more.map(arch::kExposedBase + 0x11000, Pfn(300), kReadOnly | kKernel);
    EXPECT_THAT(more.check(), ElementsAre(Violation::kExposedExtra));
    fewer.change(arch::kExposedBase + 0x10000, 1, PageEntry());
    EXPECT_THAT(fewer.check(), ElementsAre(Violation::kExposedMissing));
    EXPECT_EQ(fewer.finding().address, arch::kExposedBase + 0x10000);
    behind.map(arch::kExposedBase + 0x40000000, Pfn(300), kReadOnly | kKernel);
    EXPECT_THAT(behind.check(), ElementsAre(Violation::kExposedExtra));
    large.map(arch::kExposedBase + 0x200000, Pfn(512), kReadOnly | kKernel | PageEntry::kLarge, 2);
    EXPECT_THAT(large.check(), ElementsAre(Violation::kExposedExtra));
}

TEST(TableChecker, NoExposedSlotAtAll) {
    Tables tables(Model::kIsolated);
    tables.change(arch::kExposedBase, 4, PageEntry());
    EXPECT_EQ(tables.check(), std::vector<Violation>(std::size(kExposed), Violation::kExposedMissing));
}

TEST(TableChecker, ExposedPagesHaveTheListedRights) {
    Tables writable(Model::kIsolated), executable(Model::kIsolated), closed(Model::kIsolated);
    writable.add(arch::kExposedBase + 0x10000, 1, PageEntry::kWrite);
    EXPECT_THAT(writable.check(), ElementsAre(Violation::kExposedRights));
    executable.remove(arch::kExposedBase + 0x12000, 1, PageEntry::kNoExecute);
    EXPECT_THAT(executable.check(), ElementsAre(Violation::kExposedRights));
    closed.add(arch::kExposedBase, 3, PageEntry::kNoExecute);
    EXPECT_EQ(closed.check(), std::vector<Violation>(2, Violation::kExposedRights));
}

TEST(TableChecker, ProcessorPageIsNotExposed) {
    for (Model model : {Model::kConfined, Model::kIsolated, Model::kNone}) {
        Tables tables(model);
        tables.map(arch::kExposedBase + 0x12000, Pfn(201), kReadWrite | kKernel);
        EXPECT_THAT(tables.check(), ElementsAre(Violation::kExposedProcessorPage));
    }
}

TEST(TableChecker, ProgramsPagesNeverCarryTheKernelsKey) {
    for (Model model : {Model::kConfined, Model::kIsolated, Model::kNone}) {
        Tables kernels(model), own(model);
        kernels.add(kProgramPage, 1, kKernel);
        EXPECT_THAT(kernels.check(), ElementsAre(Violation::kProgramKernelKey));
        own.add(kProgramPage, 1, PageEntry::key_bits(14));
        EXPECT_THAT(own.check(), IsEmpty());
    }
}

TEST(TableChecker, WritableCodeOfPrograms) {
    Tables isolated(Model::kIsolated), confined(Model::kConfined), shared(Model::kIsolated);
    isolated.add(kProgramPage, 1, PageEntry::kWrite);
    EXPECT_THAT(isolated.check(), ElementsAre(Violation::kProgramWritableCode));
    confined.add(kProgramPage, 1, PageEntry::kWrite);
    EXPECT_THAT(confined.check(), IsEmpty());
    shared.add(kProgramPage, 1, PageEntry::kWrite);
    shared.remove(kProgramPage, 2, PageEntry::kWrite);  // a leaf table that a forked child shares
    EXPECT_THAT(shared.check(), IsEmpty());
}

TEST(TableChecker, ProgramsEntriesSayUser) {
    Tables top(Model::kConfined), leaf(Model::kConfined);
    top.remove(kProgramPage, 4, PageEntry::kUser);
    EXPECT_THAT(top.check(), ElementsAre(Violation::kProgramSupervisor));
    leaf.remove(kProgramPage, 1, PageEntry::kUser);
    EXPECT_THAT(leaf.check(), ElementsAre(Violation::kProgramSupervisor));
}

TEST(TableChecker, ForeignFrames) {
    Tables tables(Model::kConfined);
    tables.make_foreign(Pfn(100));
    EXPECT_THAT(tables.check(), ElementsAre(Violation::kProgramForeignFrame));
    EXPECT_EQ(tables.finding().address, kProgramPage);
}

TEST(TableChecker, LargePagesOfPrograms) {
    constexpr uint64_t kLargePage = 0x4000'0000;
    auto with = [&](Model model, uint64_t flags) {
        Tables tables(model);
        tables.map(kLargePage, Pfn(1024), flags | PageEntry::kLarge, 2);
        return tables.check();
    };
    EXPECT_THAT(with(Model::kIsolated, kReadWrite), IsEmpty());
    EXPECT_THAT(with(Model::kIsolated, kReadWrite | kKernel), ElementsAre(Violation::kProgramKernelKey));
    EXPECT_THAT(with(Model::kIsolated, kCode | PageEntry::kWrite), ElementsAre(Violation::kProgramWritableCode));
    EXPECT_THAT(with(Model::kConfined, kReadWrite & ~PageEntry::kUser), ElementsAre(Violation::kProgramSupervisor));
    Tables foreign(Model::kIsolated);
    foreign.map(kLargePage, Pfn(1024), kReadWrite | PageEntry::kLarge, 2);
    foreign.make_foreign(Pfn(1024 + 300));
    EXPECT_THAT(foreign.check(), ElementsAre(Violation::kProgramForeignFrame));
    EXPECT_EQ(foreign.finding().address, kLargePage + 300 * core::kPageSize);
}

TEST(TableChecker, LastPageBelowTheBoundary) {
    Tables tables(Model::kConfined);
    tables.map(core::kUserEnd, Pfn(102), kReadOnly);
    EXPECT_THAT(tables.check(), ElementsAre(Violation::kLastPageMapped));
}

TEST(TableChecker, TablesThatAreNoMemory) {
    Tables tables(Model::kConfined);
    tables.forget_table_of(kProgramPage);
    EXPECT_THAT(tables.check(), ElementsAre(Violation::kTableUnreadable));
    mpk::CheckedTable nothing{};
    nothing.read = [](void*, Pfn) -> const PageTable* { return nullptr; };
    EXPECT_EQ(mpk::check_table(nothing, [](void*, const mpk::Finding&) {}), 1u);
}

TEST(TableChecker, HiddenPagesAreNoPages) {
    Tables tables(Model::kIsolated);
    tables.change(kProgramPage, 1, PageEntry(Pfn(100), PageEntry::kHeld | PageEntry::kWrite));
    EXPECT_THAT(tables.check(), IsEmpty());
}

}  // namespace
