// The kernel's random numbers: a ChaCha20 generator with fast key erasure, seeded at boot. For getrandom,
// /dev/urandom, ASLR, AT_RANDOM, TCP sequence numbers.
#pragma once

#include <cstdint>
#include <span>

namespace core {

void seed_random(std::span<const std::byte> entropy);
void fill_random(std::span<std::byte> destination);
uint64_t random_u64();

}  // namespace core
