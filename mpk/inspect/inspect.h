// The inspection of code: which model can run a file, and what of it must be replaced.
//
// - Proven to be code is: functions of .eh_frame (found by PT_GNU_EH_FRAME), functions of the symbol tables, the entry
//   point, DT_INIT, DT_FINI and their arrays, and what direct branches reach from these. Proven code is decoded
//   from boundary to boundary; intended instructions of ring 0 become sites there.
// - Forbidden sequences (sequences.h) are looked for at every byte of every executable page. One that proven code takes
//   part in becomes a site of kind kRelocate, unless it is an intended instruction already; others are counted.
// - A file is not isolatable if such a site cannot be carried out elsewhere (safe_form.h), if less than half of its
//   executable bytes are proven to be code, if its unwind information or headers are broken, or if it asks for what
//   isolated programs never get: a segment that is writable and executable, relocations in code, an executable stack.
//
// Knows nothing of files or mappings: the same sources serve the kernel, the tool and the host tests.
#pragma once

#include <memory>
#include <span>

#include "core/result.h"
#include "core/vector.h"
#include "mpk/inspect/code_map.h"
#include "mpk/inspect/sequences.h"

namespace mpk::inspect {

// The bytes of a file. They must not change while it is inspected.
class Reader {
  public:
    virtual uint64_t size() const = 0;
    // Fills `to` with the bytes at `offset`, all of which lie inside of the file. EIO or what reading can give.
    virtual Result<void> read(uint64_t offset, std::span<std::byte> to) const = 0;
    // The `size` bytes at `offset` themselves, if they lie together in memory and stay there; else nothing, and they are read.
    virtual std::span<const std::byte> view(uint64_t, uint64_t) const { return {}; }

  protected:
    ~Reader() = default;
};

// A file that lies in memory.
class MemoryReader final : public Reader {
  public:
    explicit MemoryReader(std::span<const std::byte> bytes) : bytes_(bytes) {}
    uint64_t size() const override { return bytes_.size(); }
    Result<void> read(uint64_t offset, std::span<std::byte> to) const override;
    std::span<const std::byte> view(uint64_t offset, uint64_t size) const override;

  private:
    std::span<const std::byte> bytes_;
};

// A forbidden sequence that stays.
struct Residual {
    uint64_t offset = 0;
    Sequence sequence{};
};

// A map and the memory that it stands in. Moves, does not copy.
class Inspection {
  public:
    // The map is valid while this object lives and is not moved from.
    CodeMap map() const;
    // All of them, ascending: map().residuals is their number.
    std::span<const Residual> residuals() const { return residuals_; }
    // Where the byte stands that made the file not isolatable; 0 if it is, or if the reason names no place.
    uint64_t reason_offset() const { return reason_offset_; }
    // Bytes of executable segments, and how many of them are proven to be code.
    uint64_t executable_bytes() const { return executable_bytes_; }
    uint64_t proven_bytes() const { return proven_bytes_; }

  private:
    friend class Inspector;
    Verdict verdict_ = Verdict::kNoCode;
    core::Vector<char> reason_;
    uint64_t reason_offset_ = 0;
    core::Vector<PageRange> pages_;
    core::Vector<Site> sites_;
    core::Vector<Residual> residuals_;
    uint64_t executable_bytes_ = 0, proven_bytes_ = 0;
};

// Inspects a file. A broken one is no error: it is not isolatable, and the reason says what is broken.
// ENOMEM, or what the reader returns. Takes some 200 instructions a byte of code and holds an eighth of it twice as
// bitmaps; in the kernel, call it without locks.
Result<Inspection> inspect(const Reader& file);

}  // namespace mpk::inspect
