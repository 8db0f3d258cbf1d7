#include "core/random.h"

#include <gtest/gtest.h>

#include <cstring>
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

// Requests of all sizes take from streams that never repeat, and write no byte more than was asked for.
TEST(Random, RequestsOfAllSizesDiffer) {
    std::set<uint64_t> seen;
    size_t words = 0;
    for (size_t size = 1; size < 700; size++) {
        std::vector<std::byte> bytes(size + 8, std::byte{0xa5});
        core::fill_random(std::span(bytes).first(size));
        for (size_t i = size; i < size + 8; i++) ASSERT_EQ(bytes[i], std::byte{0xa5});
        for (size_t at = 0; at + 8 <= size; at += 8, words++) {
            uint64_t word;
            std::memcpy(&word, &bytes[at], 8);
            seen.insert(word);
        }
    }
    EXPECT_EQ(seen.size(), words);
}

}  // namespace
