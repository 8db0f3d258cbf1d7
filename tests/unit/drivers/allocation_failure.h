// Makes the n-th nothrow allocation of the drivers fail.
#pragma once

namespace test_support {

// 0: none. Counts from now.
void fail_allocation(unsigned n);
// Whether the failure has been delivered since.
bool allocation_failed();

}  // namespace test_support
