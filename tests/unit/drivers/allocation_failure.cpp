#include "allocation_failure.h"

#include <new>

namespace {

unsigned countdown = 0;
bool failed = false;

bool fails_now() {
    if (countdown == 0 || --countdown > 0) return false;
    failed = true;
    return true;
}

}  // namespace

namespace test_support {

void fail_allocation(unsigned n) {
    countdown = n;
    failed = false;
}
bool allocation_failed() { return failed; }

}  // namespace test_support

// Kernel code allocates with std::nothrow only, the test's own containers never do.
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return fails_now() ? nullptr : ::operator new(size); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
    return fails_now() ? nullptr : ::operator new[](size);
}
