// A fixed ring of bytes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fs::tty {

template <size_t kCapacity>
class ByteRing {
    static_assert((kCapacity & (kCapacity - 1)) == 0);

  public:
    size_t size() const { return head_ - tail_; }
    size_t room() const { return kCapacity - size(); }
    bool empty() const { return head_ == tail_; }
    void push(uint8_t byte) { bytes_[head_++ & (kCapacity - 1)] = byte; }
    uint8_t pop() { return bytes_[tail_++ & (kCapacity - 1)]; }
    void clear() { tail_ = head_; }
    // The longest run from the oldest byte on that is contiguous.
    const uint8_t* front(size_t* count) const {
        size_t start = tail_ & (kCapacity - 1);
        *count = size() < kCapacity - start ? size() : kCapacity - start;
        return bytes_ + start;
    }
    void drop(size_t count) { tail_ += count; }

  private:
    size_t head_ = 0, tail_ = 0;
    uint8_t bytes_[kCapacity];
};

}  // namespace fs::tty
