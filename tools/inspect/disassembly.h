// Instructions as text (Intel syntax), and the functions that they are in.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tool {

/// The instruction that `bytes` begin with; "(bad)" if they begin with none.
std::string disassemble(std::string_view bytes, uint64_t address);

/// "0f 01 ef"
std::string hex_bytes(std::string_view bytes);

/// The symbols of an ELF file, by its own tables. A damaged file has none.
class Symbols {
  public:
    explicit Symbols(std::string_view elf);

    /// "abort+0x1d" for a place in the file: the nearest function at or before it in the same segment; empty if none.
    std::string name_at(uint64_t offset) const;
    /// The address at which the file is linked to have this byte; the offset itself if it is not loaded.
    uint64_t address_of(uint64_t offset) const;

  private:
    struct Symbol {
        uint64_t address = 0, size = 0;
        std::string name;
    };
    struct Segment {
        uint64_t address = 0, offset = 0, size = 0;
    };
    std::vector<Symbol> symbols_;  // by address
    std::vector<Segment> segments_;
};

}  // namespace tool
