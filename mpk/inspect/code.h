// The bytes of a file's executable pages, and where instructions begin in them.
#pragma once

#include "core/vector.h"
#include "mpk/inspect/decoder.h"
#include "mpk/inspect/elf_image.h"

namespace mpk::inspect {

// A bit for each byte of a range of offsets.
class OffsetSet {
  public:
    Result<void> cover(uint64_t begin, uint64_t end) {
        begin_ = begin;
        return words_.resize((end - begin + 63) / 64);
    }
    // The offset lies in the covered range for all of these.
    bool contains(uint64_t offset) const { return words_[index(offset)] >> (offset - begin_) % 64 & 1; }
    void add(uint64_t offset) { words_[index(offset)] |= uint64_t{1} << (offset - begin_) % 64; }
    void remove(uint64_t offset) { words_[index(offset)] &= ~(uint64_t{1} << (offset - begin_) % 64); }
    std::span<const uint64_t> words() const { return words_; }

  private:
    size_t index(uint64_t offset) const { return (offset - begin_) / 64; }
    uint64_t begin_ = 0;
    core::Vector<uint64_t> words_;
};

// Executable pages that stand together in the file.
struct Region {
    PageRange pages;
    std::span<const std::byte> bytes;  // up to the file's end
    core::Vector<std::byte> storage;
    OffsetSet boundaries;  // an instruction of proven code begins here
    OffsetSet targets;     // a direct branch of proven code leads here

    bool contains(uint64_t offset) const { return offset >= pages.offset && offset - pages.offset < bytes.size(); }
};

class Code {
  public:
    // Reads the executable segments of `image`. ENOMEM, or what the reader returns.
    static Result<Code> read(const Reader& file, const ElfImage& image);

    std::span<Region> regions() { return {regions_.data(), regions_.size()}; }
    Region* region_at(uint64_t offset);
    const Region* region_at(uint64_t offset) const { return const_cast<Code*>(this)->region_at(offset); }

    // Up to `size` bytes of the file at an offset in a region; fewer at its end.
    std::span<const std::byte> bytes_at(uint64_t offset, size_t size) const;
    // The instruction at `offset`; false if there is none that ends before `limit`.
    bool decode_at(uint64_t offset, uint64_t limit, Instruction& instruction) const;
    bool is_boundary(uint64_t offset) const;

    // Calls visit(offset, instruction) for all instructions of proven code with a byte in [offset, offset + size), in
    // ascending order. It returns Result<void>.
    template <typename Visit>
    Result<void> for_each_overlapping(uint64_t offset, uint64_t size, Visit visit) const {
        const Region* region = region_at(offset);
        if (!region) return {};
        uint64_t first = offset - region->pages.offset < kLongestInstruction ? region->pages.offset
                                                                             : offset - kLongestInstruction + 1;
        for (uint64_t at = first; at < offset + size; at++) {
            Instruction instruction;
            if (!is_boundary(at) || !decode_at(at, ~uint64_t{0}, instruction)) continue;
            if (at + instruction.length > offset) TRY(visit(at, instruction));
        }
        return {};
    }

  private:
    core::Vector<Region> regions_;
};

}  // namespace mpk::inspect
