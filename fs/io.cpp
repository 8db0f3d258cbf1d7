#include "fs/io.h"

#include <algorithm>

namespace fs {

namespace {

// Copies that cross pages of the program fail as a whole. Like Linux we count what lies before the first bad
// page, so pieces end at page boundaries here.
size_t piece(size_t wanted, uint64_t left, uint64_t address) {
    return std::min<uint64_t>({wanted, left, kPageSize - (address & core::kPageMask)});
}

}  // namespace

void IoCursor::rewind_to(size_t done) {
    size_t total = done_ + remaining_;
    segment_ = 0;
    done_ = done;
    remaining_ = total - done;
    if (segments_.empty()) return;
    size_t skip = done;
    while (skip > segments_[segment_].size) skip -= segments_[segment_++].size;
    address_ = segments_[segment_].address + skip;
    left_ = segments_[segment_].size - skip;
}

Result<void> Destination::put_slowly(const void* data, size_t size) {
    const char* from = static_cast<const char*>(data);
    size = std::min(size, remaining_);
    while (size > 0) {
        enter_segment();
        size_t step = piece(size, left_, address_);
        if (kind_ == Kind::kUser) TRY(arch::copy_out(UserAddr(address_), from, step));
        else std::memcpy(reinterpret_cast<void*>(address_), from, step);
        advance(step);
        from += step;
        size -= step;
    }
    return {};
}

Result<void> Destination::put_zeros(size_t size) {
    size = std::min(size, remaining_);
    while (size > 0) {
        enter_segment();
        size_t step = piece(size, left_, address_);
        if (kind_ == Kind::kUser) TRY(arch::zero_user(UserAddr(address_), step));
        else std::memset(reinterpret_cast<void*>(address_), 0, step);
        advance(step);
        size -= step;
    }
    return {};
}

Result<void> Source::take_slowly(void* data, size_t size) {
    char* to = static_cast<char*>(data);
    size = std::min(size, remaining_);
    while (size > 0) {
        enter_segment();
        size_t step = piece(size, left_, address_);
        if (kind_ == Kind::kUser) TRY(arch::copy_in(to, UserAddr(address_), step));
        else std::memcpy(to, reinterpret_cast<const void*>(address_), step);
        advance(step);
        to += step;
        size -= step;
    }
    return {};
}

}  // namespace fs
