// ChaCha20 (RFC 8439, 2.3) with fast key erasure: the first 32 bytes of each stream become the next key, so that what
// was given out cannot be recomputed later. Small requests share a stream that is made ahead and erased as it goes out;
// a large one gets a stream of its own.
#include "core/random.h"

#include <bit>
#include <cstring>

#include "core/lock.h"

namespace core {

namespace {

constexpr size_t kBlockSize = 64, kKeySize = 32;

struct Generator {
    uint32_t key[8] = {};
    uint64_t nonce = 0;
    std::byte ready[4 * kBlockSize - kKeySize];
    size_t left = 0;  // the last `left` bytes of `ready` were not given out yet
};

Spinlock generator_lock{Rank::kLog};
Generator generator;

constexpr void quarter_round(uint32_t& a, uint32_t& b, uint32_t& c, uint32_t& d) {
    a += b; d = std::rotl(d ^ a, 16);
    c += d; b = std::rotl(b ^ c, 12);
    a += b; d = std::rotl(d ^ a, 8);
    c += d; b = std::rotl(b ^ c, 7);
}

void chacha20_block(const uint32_t key[8], uint32_t counter, uint64_t nonce, uint32_t out[16]) {
    const uint32_t initial[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, key[0], key[1], key[2], key[3],
                                  key[4], key[5], key[6], key[7], counter, 0, static_cast<uint32_t>(nonce),
                                  static_cast<uint32_t>(nonce >> 32)};
    uint32_t s[16];
    std::memcpy(s, initial, sizeof(s));
    for (int round = 0; round < 10; round++) {
        quarter_round(s[0], s[4], s[8], s[12]);
        quarter_round(s[1], s[5], s[9], s[13]);
        quarter_round(s[2], s[6], s[10], s[14]);
        quarter_round(s[3], s[7], s[11], s[15]);
        quarter_round(s[0], s[5], s[10], s[15]);
        quarter_round(s[1], s[6], s[11], s[12]);
        quarter_round(s[2], s[7], s[8], s[13]);
        quarter_round(s[3], s[4], s[9], s[14]);
    }
    for (int i = 0; i < 16; i++) out[i] = s[i] + initial[i];
}

void refill_locked() {
    alignas(uint32_t) std::byte stream[kKeySize + sizeof(generator.ready)];
    for (uint32_t i = 0; i < sizeof(stream) / kBlockSize; i++) {
        uint32_t block[16];
        chacha20_block(generator.key, i, generator.nonce, block);
        std::memcpy(stream + i * kBlockSize, block, kBlockSize);
    }
    generator.nonce++;
    std::memcpy(generator.key, stream, kKeySize);
    std::memcpy(generator.ready, stream + kKeySize, sizeof(generator.ready));
    generator.left = sizeof(generator.ready);
}

void fill_from_ready(std::span<std::byte> destination) {
    SpinGuard guard(generator_lock);
    while (!destination.empty()) {
        if (generator.left == 0) refill_locked();
        size_t count = destination.size() < generator.left ? destination.size() : generator.left;
        std::byte* from = generator.ready + sizeof(generator.ready) - generator.left;
        std::memcpy(destination.data(), from, count);
        std::memset(from, 0, count);
        generator.left -= count;
        destination = destination.subspan(count);
    }
}

}  // namespace

void seed_random(std::span<const std::byte> entropy) {
    SpinGuard guard(generator_lock);
    generator.left = 0;  // what was made before knows nothing of this
    // Absorb: XOR into the key, then mix by one block.
    auto key_bytes = reinterpret_cast<std::byte*>(generator.key);
    uint32_t block[16];
    while (!entropy.empty()) {
        size_t count = entropy.size() < sizeof(generator.key) ? entropy.size() : sizeof(generator.key);
        for (size_t i = 0; i < count; i++) key_bytes[i] ^= entropy[i];
        chacha20_block(generator.key, 0, generator.nonce++, block);
        std::memcpy(generator.key, block, sizeof(generator.key));
        entropy = entropy.subspan(count);
    }
}

void fill_random(std::span<std::byte> destination) {
    if (destination.size() <= kBlockSize) return fill_from_ready(destination);
    uint32_t key[8];
    uint64_t nonce;
    {
        SpinGuard guard(generator_lock);
        uint32_t block[16];
        chacha20_block(generator.key, 0, generator.nonce, block);
        nonce = generator.nonce++;
        std::memcpy(key, block + 8, sizeof(key));
        std::memcpy(generator.key, block, sizeof(generator.key));
    }
    uint32_t block[16];
    for (uint32_t counter = 1; !destination.empty(); counter++) {
        chacha20_block(key, counter, nonce, block);
        size_t count = destination.size() < sizeof(block) ? destination.size() : sizeof(block);
        std::memcpy(destination.data(), block, count);
        destination = destination.subspan(count);
    }
}

uint64_t random_u64() {
    uint64_t value;
    fill_random(std::as_writable_bytes(std::span(&value, 1)));
    return value;
}

}  // namespace core
