// Keys of the cache.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tool {

/// FNV-1a, 128 bits. It names cache entries by what went into them; it is no protection against an attacker (the
/// packages themselves are verified by apt).
class ContentHash {
  public:
    /// Adds one field; fields do not run into each other ("ab","c" differs from "a","bc").
    ContentHash& add(std::string_view field) {
        add_number(field.size());
        for (char c : field) add_byte(static_cast<uint8_t>(c));
        return *this;
    }
    ContentHash& add_number(uint64_t number) {
        for (int i = 0; i < 8; ++i) add_byte(static_cast<uint8_t>(number >> (8 * i)));
        return *this;
    }
    std::string hex() const {
        std::string text;
        for (int shift = 124; shift >= 0; shift -= 4)
            text += "0123456789abcdef"[static_cast<int>((state_ >> shift) & 15)];
        return text;
    }

  private:
    using Word = unsigned __int128;
    static constexpr Word kPrime = (Word{0x0000000001000000} << 64) | 0x000000000000013B;
    static constexpr Word kBasis = (Word{0x6c62272e07bb0142} << 64) | 0x62b821756295c58d;

    void add_byte(uint8_t byte) { state_ = (state_ ^ byte) * kPrime; }

    Word state_ = kBasis;
};

}  // namespace tool
