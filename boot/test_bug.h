// Bugs that the kernel makes on purpose (`test_bug=NAME` on its command line), so that tests see what becomes of them.
#pragma once

#include <optional>
#include <string_view>

#include "core/result.h"

namespace boot {

enum class TestBug : uint8_t {
    kNone,
    kStackOverflow,  // stack-overflow: ends the machine in every build
    kLockOrder,      // lock-order: ends it in debug kernels, which keep ranks
    kAssertion,      // assertion
};
std::optional<TestBug> parse_test_bug(std::string_view name);

// On a kernel thread that holds no lock. Returns if nobody minds.
void make_test_bug(TestBug bug);

}  // namespace boot
