#include "process/interrupted_keys.h"

#include <gtest/gtest.h>

namespace {

using arch::kInitialPkru;
using process::InterruptedKeys;

TEST(InterruptedKeys, ComeBackInTheOrderOfReturns) {
    InterruptedKeys keys;
    keys.entered(0x9000, 1);
    keys.entered(0x8000, 2);
    EXPECT_EQ(keys.left(0x8000), 2u);
    EXPECT_EQ(keys.left(0x9000), 1u);
    EXPECT_EQ(keys.left(0x9000), kInitialPkru);
}

TEST(InterruptedKeys, AnOuterReturnEndsInnerHandlers) {
    InterruptedKeys keys;
    keys.entered(0x9000, 1);
    keys.entered(0x8000, 2);
    EXPECT_EQ(keys.left(0x9000), 1u);
    EXPECT_EQ(keys.left(0x8000), kInitialPkru);
}

TEST(InterruptedKeys, FramesThatWereLeftByLongjmpAreForgotten) {
    InterruptedKeys keys;
    keys.entered(0x9000, 1);
    keys.entered(0x9000, kInitialPkru);
    EXPECT_EQ(keys.left(0x9000), kInitialPkru);
    for (uint64_t frame = 0; frame < 100; frame++) keys.entered(frame, static_cast<uint32_t>(frame));
    EXPECT_EQ(keys.left(99), 99u);
    EXPECT_EQ(keys.left(92), 92u);
    EXPECT_EQ(keys.left(3), kInitialPkru);
}

}  // namespace
