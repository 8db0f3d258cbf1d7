// Bytes of a stream in the packet buffers of lwIP (pbuf): what came in and was not read yet.
#pragma once

#include <cstddef>

#include "fs/io.h"
#include "net/lwip_headers.h"

namespace net {

// Owns its buffers, linked by `next` across packets. Guarded by the stack, which the destructor need not hold: the
// queue must be empty by then.
class ByteQueue {
  public:
    ByteQueue() = default;
    ByteQueue(const ByteQueue&) = delete;

    size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }

    // Takes over a packet, or all of another queue, which is empty then.
    void append(pbuf* packet);
    void append(ByteQueue& other);
    // Copies up to `size` bytes from `source`: fewer if memory is short. Small pieces share buffers. EFAULT and ENOBUFS
    // only if nothing was copied.
    Result<size_t> fill(fs::Source& source, size_t size);
    // Copies `size` bytes at most, which stay queued, and returns how many in `copied`. EFAULT.
    Result<void> peek(fs::Destination& destination, size_t size, size_t& copied) const;
    // Forgets the first `size` bytes, or all.
    void drop(size_t size);
    void clear();

  private:
    bool grow(size_t wanted);

    pbuf* first_ = nullptr;
    pbuf* last_ = nullptr;
    size_t offset_ = 0;  // of `first_`, how much was read
    size_t size_ = 0;
    size_t room_ = 0;    // unused bytes behind the last buffer's
};

}  // namespace net
