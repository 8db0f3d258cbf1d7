// Write xor execute in isolated spaces, with a policy that accepts some files: no page is ever writable and executable,
// and every executable one is the policy's.
#include "mm/code_policy.h"
#include "space_fixture.h"

namespace {

using mm::AddressSpace;
using mm::MapRequest;
using mm::Model;
using mm::Placement;
using mm::Protection;
using mm::Sharing;

constexpr Protection kR{true, false, false}, kRw{true, true, false}, kRx{true, false, true}, kRwx{true, true, true};

// Shows its file's pages with 100 added to each byte.
class Text final : public mm::Mappable, public mm::PageSource {
  public:
    explicit Text(const core::Ref<mm::Mappable>& file) : file_(file), cache_(*this) {}
    mm::PageCache& page_cache() override { return cache_; }
    uint64_t mapped_size() const override { return file_->mapped_size(); }
    std::string_view map_name() const override { return file_->map_name(); }
    core::Ref<mm::Mappable> plain_form() override { return file_; }
    Result<void> fill(uint64_t index, core::Pfn frame) override {
        std::memset(mm::to_pointer(frame), static_cast<int>(index + 101), kPageSize);
        return {};
    }

  private:
    core::Ref<mm::Mappable> file_;
    mm::PageCache cache_;
};

class TestPolicy final : public mm::CodePolicy {
  public:
    Result<core::Ref<mm::Mappable>> inspect(const core::Ref<mm::Mappable>& file, uint64_t, uint64_t end,
                                            mm::Reason& reason) override {
        asked++;
        if (meanwhile) meanwhile();
        if (end > good_pages) {
            reason.set("bad code");
            return fail(Errno::kAcces);
        }
        return core::Ref<mm::Mappable>(TRY(core::make_ref<Text>(file)));
    }
    void confined() override { confinements++; }
    uint64_t good_pages = 8;
    unsigned asked = 0, confinements = 0;
    std::function<void()> meanwhile;
};

class Isolated : public SpaceFixture {
  protected:
    void SetUp() override {
        SpaceFixture::SetUp();
        mm::set_code_policy(&policy);
        use(AddressSpace::Fallback::kRefuse);
    }
    void TearDown() override {
        space = {};
        mm::set_code_policy(nullptr);
    }
    void use(AddressSpace::Fallback fallback) {
        space = *AddressSpace::create(Model::kIsolated);
        space->set_isolation(fallback, mm::Reason("a test"));
    }
    Result<UserAddr> map_object(core::Ref<mm::Mappable> object, Protection protection, uint64_t pages = 2,
                                Sharing sharing = Sharing::kPrivate) {
        MapRequest request;
        request.size = pages * kPageSize;
        request.protection = protection;
        request.sharing = sharing;
        request.object = std::move(object);
        return space->map(request);
    }
    static Errno error_of(const Result<UserAddr>& result) { return result ? Errno{} : result.error(); }
    bool executes(UserAddr at) { return space->code_at(at).object.get() != nullptr; }

    TestPolicy policy;
    TestFile file{8 * kPageSize};
};

TEST_F(Isolated, ExecutesInspectedTextOfFilesOnly) {
    UserAddr code = *map_object(file.object, kRx);
    EXPECT_EQ(read(code), 101);
    EXPECT_EQ(space->code_at(code + 5).offset, 5u);
    EXPECT_EQ(read(*map_object(file.object, kR)), 1);
    EXPECT_EQ(error_of(map_object({}, kRx)), Errno::kAcces);
    EXPECT_EQ(error_of(map_object({}, kRwx)), Errno::kAcces);
    EXPECT_EQ(error_of(map_object({}, kRx, 1, Sharing::kShared)), Errno::kAcces);
    EXPECT_EQ(error_of(map_object(file.object, kRwx)), Errno::kAcces);
    EXPECT_EQ(error_of(map_object(file.object, kRx, 1, Sharing::kShared)), Errno::kAcces);
    policy.good_pages = 1;
    EXPECT_EQ(error_of(map_object(file.object, kRx)), Errno::kAcces);
    EXPECT_EQ(space->model(), Model::kIsolated);
}

TEST_F(Isolated, TextIsNeverSeenAsData) {
    UserAddr code = *map_object(file.object, kRx, 2);
    EXPECT_EQ(read(code), 101);
    ASSERT_TRUE(space->protect({code, code + kPageSize}, kRw));
    EXPECT_EQ(read(code), 1);
    EXPECT_EQ(read(code + kPageSize), 102);
    EXPECT_FALSE(executes(code));
    // Unchanged, it may be executed again; changed, never.
    ASSERT_TRUE(space->protect({code, code + kPageSize}, kRx));
    EXPECT_EQ(read(code), 101);
    ASSERT_TRUE(space->protect({code, code + kPageSize}, kRw));
    write(code, 9);
    EXPECT_EQ(space->protect({code, code + kPageSize}, kRx).error(), Errno::kAcces);
    EXPECT_EQ(read(code), 9);
    EXPECT_FALSE(executes(code));
}

TEST_F(Isolated, ProtectChecksEveryMappingOfItsRange) {
    TestFile other(8 * kPageSize);
    UserAddr first = *map_object(file.object, kR, 1);
    MapRequest request;
    request.address = first + kPageSize;
    request.size = kPageSize;
    request.placement = Placement::kFixed;
    request.protection = kR;
    request.object = other.object;
    ASSERT_TRUE(space->map(request));
    ASSERT_TRUE(space->protect({first, first + 2 * kPageSize}, kRx));
    EXPECT_EQ(policy.asked, 2u);
    EXPECT_EQ(read(first), 101);
    EXPECT_EQ(read(first + kPageSize), 101);
    EXPECT_EQ(space->protect({first, first + 2 * kPageSize}, kRwx).error(), Errno::kAcces);
    UserAddr anonymous = map(1, kRw);
    EXPECT_EQ(space->protect({anonymous, anonymous + kPageSize}, kRx).error(), Errno::kAcces);
}

TEST_F(Isolated, PagesWrittenWhileInspectionRunsAreNotExecuted) {
    UserAddr code = *map_object(file.object, kRw, 1);
    policy.meanwhile = [&] {
        policy.meanwhile = {};
        write(code, 66);
    };
    EXPECT_EQ(space->protect({code, code + kPageSize}, kRx).error(), Errno::kAcces);
    EXPECT_FALSE(executes(code));
}

TEST_F(Isolated, NeitherForcedWritesNorGrowthReachText) {
    UserAddr code = *map_object(file.object, kRx, 1);
    std::byte byte{66};
    EXPECT_EQ(space->write_memory(code, {&byte, 1}, true).error(), Errno::kFault);
    EXPECT_EQ(read(code), 101);
    constexpr unsigned kMayMove = 1;
    EXPECT_EQ(space->remap({code, code + kPageSize}, 2 * kPageSize, kMayMove, UserAddr(0)).error(), Errno::kAcces);
}

// exec finds out while it makes the space: nobody has executed the replaced text.
TEST_F(Isolated, BecomesConfinedBeforeItRuns) {
    use(AddressSpace::Fallback::kConfine);
    UserAddr code = *map_object(file.object, kRx, 2);
    EXPECT_EQ(read(code), 101);
    ASSERT_TRUE(map_object({}, kRwx));
    EXPECT_EQ(space->model(), Model::kConfined);
    EXPECT_FALSE(space->was_confined());
    EXPECT_EQ(read(code), 1);
}

TEST_F(Isolated, BecomesConfinedInsteadIfItMay) {
    UserAddr code = *map_object(file.object, kRx, 2);
    EXPECT_EQ(read(code), 101);
    use(AddressSpace::Fallback::kConfine);
    code = *map_object(file.object, kRx, 2);
    EXPECT_EQ(read(code), 101);
    space->activate();
    auto made = map_object({}, kRwx);
    ASSERT_TRUE(made);
    EXPECT_EQ(space->model(), Model::kConfined);
    EXPECT_TRUE(space->was_confined());
    space->deactivate();
    EXPECT_EQ(policy.confinements, 1u);
    EXPECT_EQ(read(code), 1);
    EXPECT_NE(space->isolation_reason().view().find("writable and executable"), std::string_view::npos);
    // From now on everything goes, without a look.
    unsigned asked = policy.asked;
    EXPECT_TRUE(space->protect({code, code + kPageSize}, kRwx));
    EXPECT_EQ(policy.asked, asked);
}

TEST_F(Isolated, AMappingThatIsOvertakenByConfinementShowsTheFile) {
    use(AddressSpace::Fallback::kConfine);
    policy.meanwhile = [&] {
        policy.meanwhile = {};
        space->confine(mm::Reason("another thread"));
    };
    UserAddr code = *map_object(file.object, kRx, 1);
    EXPECT_EQ(read(code), 1);
    EXPECT_TRUE(executes(code));
}

TEST_F(Isolated, ChildrenInheritModelAndRule) {
    use(AddressSpace::Fallback::kConfine);
    UserAddr code = *map_object(file.object, kRx, 1);
    auto child = *space->fork();
    EXPECT_EQ(child->model(), Model::kIsolated);
    EXPECT_EQ(read_from(*child, code), 101);
    space->confine(mm::Reason("a test"));
    EXPECT_EQ(read_from(*child, code), 101);
    auto second = *space->fork();
    EXPECT_EQ(second->model(), Model::kConfined);
    EXPECT_EQ(read_from(*second, code), 1);
}

}  // namespace
