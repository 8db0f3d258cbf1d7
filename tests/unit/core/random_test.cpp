#include "core/random.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace {

TEST(Random, DiffersAndFillsEveryByte) {
    uint64_t seed = 42;
    core::seed_random(std::as_bytes(std::span(&seed, 1)));
    std::set<uint64_t> seen;
    for (int i = 0; i < 1000; i++) seen.insert(core::random_u64());
    EXPECT_EQ(seen.size(), 1000u);
    std::vector<std::byte> bytes(1000);
    std::vector<bool> changed(bytes.size());
    for (int round = 0; round < 20; round++) {
        core::fill_random(bytes);
        for (size_t i = 0; i < bytes.size(); i++) changed[i] = changed[i] || bytes[i] != std::byte{0};
    }
    for (size_t i = 0; i < bytes.size(); i++) EXPECT_TRUE(changed[i]) << i;
}

}  // namespace
