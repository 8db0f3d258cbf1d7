#include "boot/test_bug.h"

#include "core/lock.h"
#include "core/panic.h"

namespace boot {

namespace {

[[gnu::noinline]] unsigned use_stack(unsigned calls) {
    volatile char frame[256];
    frame[0] = static_cast<char>(calls);
    if (calls == 0) return 0;
    return use_stack(calls - 1) + static_cast<unsigned>(frame[0]);  // no tail call: the frame is read afterwards
}

constexpr struct {
    std::string_view name;
    TestBug bug;
} kNames[] = {
    {"stack-overflow", TestBug::kStackOverflow},
    {"lock-order", TestBug::kLockOrder},
    {"assertion", TestBug::kAssertion},
};

}  // namespace

std::optional<TestBug> parse_test_bug(std::string_view name) {
    for (const auto& known : kNames) {
        if (known.name == name) return known.bug;
    }
    return std::nullopt;
}

void make_test_bug(TestBug bug) {
    switch (bug) {
        case TestBug::kNone: return;
        case TestBug::kStackOverflow: (void)use_stack(1000); return;
        case TestBug::kLockOrder: {
            core::Spinlock inner(core::Rank::kHeap), outer(core::Rank::kInode);
            core::SpinGuard first(inner), second(outer);
            return;
        }
        case TestBug::kAssertion: ASSERT(bug == TestBug::kNone); return;
    }
}

}  // namespace boot
