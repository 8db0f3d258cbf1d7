#include <gtest/gtest.h>

#include "process/clone.h"

using namespace process;

namespace {

constexpr uint64_t kThreadFlags = kCloneVm | kCloneFs | kCloneFiles | kCloneSigHand | kCloneThread | kCloneSysVSem |
                                  kCloneSetTls | kCloneParentSetTid | kCloneChildClearTid;

Errno validate(uint64_t flags) {
    CloneRequest request;
    request.flags = flags;
    request.parent_tid = UserOut<uint32_t>(0x1000);
    request.pidfd = UserOut<int32_t>(0x2000);
    auto result = validate_clone(request);
    return result ? Errno{} : result.error();
}

TEST(CloneFlags, AcceptsWhatLibcAsksFor) {
    EXPECT_EQ(validate(0), Errno{});
    EXPECT_EQ(validate(kCloneVm | kCloneVfork), Errno{});
    EXPECT_EQ(validate(kThreadFlags), Errno{});
    EXPECT_EQ(validate(kCloneChildSetTid | kCloneChildClearTid), Errno{});
    EXPECT_EQ(validate(kClonePidFd), Errno{});
    EXPECT_EQ(validate(kCloneParent | kCloneFiles | kCloneFs), Errno{});
}

TEST(CloneFlags, RefusesBadCombinations) {
    EXPECT_EQ(validate(kCloneThread), Errno::kInval);
    EXPECT_EQ(validate(kCloneThread | kCloneVm), Errno::kInval);
    EXPECT_EQ(validate(kCloneThread | kCloneSigHand), Errno::kInval);
    EXPECT_EQ(validate(kCloneSigHand), Errno::kInval);
    EXPECT_EQ(validate(kCloneSigHand | kCloneVm | kCloneThread | kCloneClearSigHand), Errno::kInval);
    EXPECT_EQ(validate(kThreadFlags | kClonePidFd), Errno::kInval);
    EXPECT_EQ(validate(kClonePidFd | kCloneDetached), Errno::kInval);
    for (uint64_t space : {kCloneNewNs, kCloneNewCgroup, kCloneNewUts, kCloneNewIpc, kCloneNewUser, kCloneNewPid,
                           kCloneNewNet, kCloneNewTime, kCloneIntoCgroup}) {
        EXPECT_EQ(validate(space), Errno::kInval);
    }
}

TEST(CloneFlags, PidFdAndParentTidNeedTwoPlaces) {
    CloneRequest request;
    request.flags = kClonePidFd | kCloneParentSetTid;
    request.parent_tid = UserOut<uint32_t>(0x1000);
    request.pidfd = UserOut<int32_t>(0x1000);
    EXPECT_EQ(validate_clone(request).error(), Errno::kInval);
    request.pidfd = UserOut<int32_t>(0x2000);
    EXPECT_TRUE(validate_clone(request));
}

// Every pair of flags gives an answer, and threads never come without shared memory.
TEST(CloneFlags, AllPairs) {
    for (int first = 8; first < 34; first++) {
        for (int second = 8; second < 34; second++) {
            uint64_t flags = 1ull << first | 1ull << second;
            if (validate(flags) != Errno{}) continue;
            EXPECT_FALSE(flags & kCloneThread);
            EXPECT_FALSE(flags & kCloneSigHand);
        }
    }
}

TEST(Clone3, DecodesAndChecks) {
    CloneArguments arguments{};
    arguments.flags = kThreadFlags;
    arguments.stack = 0x10000;
    arguments.stack_size = 0x8000;
    arguments.tls = 77;
    auto request = decode_clone3(arguments);
    ASSERT_TRUE(request);
    EXPECT_EQ(request->stack_pointer, 0x18000u);
    EXPECT_EQ(request->tls, 77u);

    auto refused = [](auto change) {
        CloneArguments bad{};
        bad.exit_signal = kSigChld;
        change(bad);
        auto result = decode_clone3(bad);
        return !result && result.error() == Errno::kInval;
    };
    EXPECT_FALSE(refused([](auto&) {}));
    EXPECT_TRUE(refused([](auto& a) { a.stack = 0x1000; }));
    EXPECT_TRUE(refused([](auto& a) { a.stack_size = 0x1000; }));
    EXPECT_TRUE(refused([](auto& a) { a.stack = ~0ull - 0xfff; a.stack_size = 0x2000; }));
    EXPECT_TRUE(refused([](auto& a) { a.exit_signal = 65; }));
    EXPECT_TRUE(refused([](auto& a) { a.exit_signal = 1ull << 32; }));
    EXPECT_TRUE(refused([](auto& a) { a.flags = 17; }));
    EXPECT_TRUE(refused([](auto& a) { a.flags = kCloneDetached; }));
    EXPECT_TRUE(refused([](auto& a) { a.flags = 1ull << 40; }));
    EXPECT_TRUE(refused([](auto& a) { a.flags = kCloneParent; }));
    EXPECT_TRUE(refused([](auto& a) { a.set_tid = 0x1000; }));
    EXPECT_TRUE(refused([](auto& a) { a.set_tid_size = 1; }));
    EXPECT_TRUE(refused([](auto& a) { a.set_tid_size = 33; }));
}

}  // namespace
