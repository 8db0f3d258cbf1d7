// Where read() puts data and where write() takes it: a list of user or kernel segments with a position.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "arch/x86_64/user_copy.h"
#include "core/result.h"
#include "core/types.h"

namespace fs {

struct IoSegment {
    uint64_t address;  // user address, or kernel pointer if the buffer is a kernel one
    uint64_t size;
};

// Shared by Destination and Source: segments belong to the caller and outlive it. One segment is the fast case.
class IoCursor {
  public:
    size_t remaining() const { return remaining_; }
    size_t done() const { return done_; }

  protected:
    enum class Kind : uint8_t { kUser, kKernel };
    IoCursor(Kind kind, std::span<const IoSegment> segments) : kind_(kind), segments_(segments) {
        for (const IoSegment& segment : segments) remaining_ += segment.size;
        if (!segments.empty()) {
            address_ = segments[0].address;
            left_ = segments[0].size;
        }
    }
    // Skips finished segments; remaining() is not 0.
    void enter_segment() {
        while (left_ == 0) {
            segment_++;
            address_ = segments_[segment_].address;
            left_ = segments_[segment_].size;
        }
    }
    void advance(size_t size) {
        address_ += size;
        left_ -= size;
        remaining_ -= size;
        done_ += size;
    }
    void rewind_to(size_t done);

    Kind kind_;
    std::span<const IoSegment> segments_;
    size_t segment_ = 0;
    uint64_t address_ = 0, left_ = 0;  // of what is left of the current segment
    size_t remaining_ = 0, done_ = 0;
};

// The target of a read. put() copies at most remaining() bytes; EFAULT as user copies, with the pages of the
// program before the failing one counted in done().
class Destination : public IoCursor {
  public:
    static Destination user(std::span<const IoSegment> segments) { return Destination(Kind::kUser, segments); }
    static Destination kernel(std::span<const IoSegment> segments) { return Destination(Kind::kKernel, segments); }
    Result<void> put(const void* data, size_t size) {
        if (size - 1 < left_ && kind_ == Kind::kUser) [[likely]] {
            if (auto copied = arch::copy_out(UserAddr(address_), data, size); copied) [[likely]] {
                advance(size);
                return {};
            }
        }
        return put_slowly(data, size);
    }
    Result<void> put_zeros(size_t size);

  private:
    using IoCursor::IoCursor;
    Result<void> put_slowly(const void* data, size_t size);
};

// The origin of a write. take() copies at most remaining() bytes.
class Source : public IoCursor {
  public:
    static Source user(std::span<const IoSegment> segments) { return Source(Kind::kUser, segments); }
    static Source kernel(std::span<const IoSegment> segments) { return Source(Kind::kKernel, segments); }
    Result<void> take(void* data, size_t size) {
        if (size - 1 < left_ && kind_ == Kind::kUser) [[likely]] {
            if (auto copied = arch::copy_in(data, UserAddr(address_), size); copied) [[likely]] {
                advance(size);
                return {};
            }
        }
        return take_slowly(data, size);
    }
    // Steps back over the last `size` bytes taken (a socket that could not queue them).
    void give_back(size_t size) { rewind_to(done_ - size); }

  private:
    using IoCursor::IoCursor;
    Result<void> take_slowly(void* data, size_t size);
};

}  // namespace fs
