// SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed hash whose values tell nothing of the key.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>

#include "core/random.h"

namespace net {

struct SipKey {
    uint64_t low, high;
    static SipKey random() { return {core::random_u64(), core::random_u64()}; }
};

inline uint64_t sip_hash(const SipKey& key, std::span<const std::byte> data) {
    uint64_t v0 = key.low ^ 0x736f6d6570736575, v1 = key.high ^ 0x646f72616e646f6d;
    uint64_t v2 = key.low ^ 0x6c7967656e657261, v3 = key.high ^ 0x7465646279746573;
    auto round = [&] {
        v0 += v1; v1 = std::rotl(v1, 13); v1 ^= v0; v0 = std::rotl(v0, 32);
        v2 += v3; v3 = std::rotl(v3, 16); v3 ^= v2;
        v0 += v3; v3 = std::rotl(v3, 21); v3 ^= v0;
        v2 += v1; v1 = std::rotl(v1, 17); v1 ^= v2; v2 = std::rotl(v2, 32);
    };
    auto absorb = [&](uint64_t word) {
        v3 ^= word;
        round();
        round();
        v0 ^= word;
    };
    size_t offset = 0;
    for (; offset + 8 <= data.size(); offset += 8) {
        uint64_t word;
        std::memcpy(&word, data.data() + offset, 8);
        absorb(word);
    }
    uint64_t last = static_cast<uint64_t>(data.size()) << 56;
    for (size_t i = 0; offset + i < data.size(); i++) last |= static_cast<uint64_t>(data[offset + i]) << (8 * i);
    absorb(last);
    v2 ^= 0xff;
    for (int i = 0; i < 4; i++) round();
    return v0 ^ v1 ^ v2 ^ v3;
}

}  // namespace net
