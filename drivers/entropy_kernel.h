#pragma once

#include <cstddef>
#include <span>

namespace drivers {

// Fills `destination` from RDSEED or RDRAND; false if the processor has neither or they fail.
bool processor_entropy(std::span<std::byte> destination);

}  // namespace drivers
