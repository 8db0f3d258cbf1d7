#include "process/signal_frame.h"

#include <gtest/gtest.h>

using namespace process;

namespace {

// Offsets that libc, unwinders and handlers rely on (Linux arch/x86/include/uapi/asm/sigcontext.h, ucontext.h).
static_assert(offsetof(UserContext, stack) == 16);
static_assert(offsetof(UserContext, registers) == 40);
static_assert(offsetof(UserContext, mask) == 296);
static_assert(offsetof(SignalContext, rsp) == 120);
static_assert(offsetof(SignalContext, rip) == 128);
static_assert(offsetof(SignalContext, cs) == 144);
static_assert(offsetof(SignalContext, error) == 152);
static_assert(offsetof(SignalContext, cr2) == 176);
static_assert(offsetof(SignalContext, fpstate) == 184);
static_assert(offsetof(SignalFrame, context) == 8);
static_assert(offsetof(SignalFrame, info) == 312);
static_assert(offsetof(SignalInfo, child.status) == 24 && offsetof(SignalInfo, fault.address) == 16);

TEST(SignalFrame, IsAlignedAsAfterACall) {
    for (uint64_t stack = 0x7000'0000; stack < 0x7000'0080; stack++) {
        for (size_t size : {516u, 836u, 2700u}) {
            FramePlacement place = place_signal_frame(stack, size);
            EXPECT_EQ(place.frame % 16, 8u);
            EXPECT_EQ(place.fpstate % 64, 0u);
            EXPECT_LE(place.fpstate + size, stack);
            EXPECT_LE(place.frame + sizeof(SignalFrame), place.fpstate);
            EXPECT_GT(place.frame, stack - size - sizeof(SignalFrame) - 64 - 24);
        }
    }
}

TEST(SignalStack, IsUsedOnlyIfAskedForAndFree) {
    SignalStack stack{0x10000, 0, 0, 0x2000};
    EXPECT_EQ(signal_stack_pointer(stack, 0x7000'0000, 0), 0x7000'0000u - 128);
    EXPECT_EQ(signal_stack_pointer(stack, 0x7000'0000, kSaOnStack), 0x12000u);
    EXPECT_EQ(signal_stack_pointer(stack, 0x11000, kSaOnStack), 0x11000u - 128);  // on it already
    EXPECT_EQ(signal_stack_pointer(SignalStack{}, 0x7000'0000, kSaOnStack), 0x7000'0000u - 128);
}

TEST(SignalStack, KnowsItsBounds) {
    SignalStack stack{0x10000, 0, 0, 0x2000};
    EXPECT_FALSE(on_alternate_stack(stack, 0x10000));
    EXPECT_TRUE(on_alternate_stack(stack, 0x10001));
    EXPECT_TRUE(on_alternate_stack(stack, 0x12000));
    EXPECT_FALSE(on_alternate_stack(stack, 0x12001));
    stack.flags = static_cast<int32_t>(kSsAutoDisarm);
    EXPECT_FALSE(on_alternate_stack(stack, 0x11000));
}

TEST(SignalStack, ReportsItsState) {
    SignalStack stack{0x10000, 0, 0, 0x2000};
    EXPECT_EQ(reported_stack(stack, 0x11000).flags, kSsOnStack);
    EXPECT_EQ(reported_stack(stack, 0x20000).flags, 0);
    EXPECT_EQ(reported_stack(SignalStack{}, 0x20000).flags, kSsDisable);
}

}  // namespace
