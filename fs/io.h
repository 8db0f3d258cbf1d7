// Where read() puts data and where write() takes it: a list of user or kernel segments with a position.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/result.h"
#include "core/types.h"

namespace fs {

struct IoSegment {
    uint64_t address;  // user address, or kernel pointer if the buffer is a kernel one
    uint64_t size;
};

// Shared by Destination and Source: segments belong to the caller and outlive it.
class IoCursor {
  public:
    size_t remaining() const { return remaining_; }
    size_t done() const { return done_; }

  protected:
    enum class Kind : uint8_t { kUser, kKernel };
    IoCursor(Kind kind, std::span<const IoSegment> segments);
    // Applies `step(address, size)` to the next `size` bytes segment by segment and advances.
    template <typename Step>
    Result<void> advance(size_t size, Step step);
    Kind kind_;
    std::span<const IoSegment> segments_;
    size_t segment_ = 0, offset_ = 0, remaining_ = 0, done_ = 0;
};

// The target of a read. put() copies at most remaining() bytes; EFAULT as user copies, with the bytes before
// the failing segment counted in done().
class Destination : public IoCursor {
  public:
    static Destination user(std::span<const IoSegment> segments) { return Destination(Kind::kUser, segments); }
    static Destination kernel(std::span<const IoSegment> segments) { return Destination(Kind::kKernel, segments); }
    Result<void> put(const void* data, size_t size);
    Result<void> put_zeros(size_t size);

  private:
    using IoCursor::IoCursor;
};

// The origin of a write.
class Source : public IoCursor {
  public:
    static Source user(std::span<const IoSegment> segments) { return Source(Kind::kUser, segments); }
    static Source kernel(std::span<const IoSegment> segments) { return Source(Kind::kKernel, segments); }
    Result<void> take(void* data, size_t size);
    // Steps back over the last `size` bytes taken (a socket that could not queue them).
    void give_back(size_t size);

  private:
    using IoCursor::IoCursor;
};

}  // namespace fs
