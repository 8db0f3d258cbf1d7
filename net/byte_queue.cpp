#include "net/byte_queue.h"

#include <algorithm>

#include "net/lwip_memory.h"

namespace net {

namespace {

// With lwIP's and the heap's headers they fill whole frames of the kernel's heap.
constexpr size_t kHeaders = 128;
constexpr size_t kLargest = 32 * 1024 - kHeaders, kFrame = 4096 - kHeaders;
// Of a buffer for the first bytes of an empty queue, which are often the only ones, and of those that follow: many
// small writes must not cost a header each.
constexpr size_t kFirst = 128, kFurther = 2048 - kHeaders;

}  // namespace

void ByteQueue::append(pbuf* packet) {
    if (last_) last_->next = packet;
    else first_ = packet;
    size_ += packet->tot_len;
    while (packet->next) packet = packet->next;
    last_ = packet;
    room_ = 0;
}

void ByteQueue::append(ByteQueue& other) {
    if (!other.first_) return;
    if (last_) last_->next = other.first_;
    else first_ = other.first_, offset_ = other.offset_;
    last_ = other.last_;
    size_ += other.size_;
    room_ = other.room_;
    other.first_ = other.last_ = nullptr;
    other.offset_ = other.size_ = other.room_ = 0;
}

// Adds an empty buffer for `wanted` bytes, or for some of them.
bool ByteQueue::grow(size_t wanted) {
    size_t capacity = std::clamp(wanted, first_ ? kFurther : kFirst, kLargest);
    // What ends connections needs memory too. So that all move on, each may have a little.
    if (stack_memory_scarce()) {
        if (first_) return false;
        capacity = std::min(capacity, kFrame);
    }
    pbuf* buffer = pbuf_alloc(PBUF_RAW, static_cast<u16_t>(capacity), PBUF_RAM);
    if (!buffer && capacity > kFrame) {
        capacity = kFrame;
        buffer = pbuf_alloc(PBUF_RAW, static_cast<u16_t>(capacity), PBUF_RAM);
    }
    if (!buffer) return false;
    buffer->len = buffer->tot_len = 0;
    append(buffer);
    room_ = capacity;
    return true;
}

Result<size_t> ByteQueue::fill(fs::Source& source, size_t size) {
    size_t added = 0;
    while (added < size) {
        if (room_ == 0 && !grow(size - added)) {
            if (added) break;
            return fail(Errno::kNoBufs);
        }
        size_t piece = std::min(room_, size - added);
        if (auto taken = source.take(static_cast<std::byte*>(last_->payload) + last_->len, piece); !taken) [[unlikely]] {
            if (added) break;
            return fail(taken.error());
        }
        last_->len = last_->tot_len = static_cast<u16_t>(last_->len + piece);
        room_ -= piece;
        size_ += piece;
        added += piece;
    }
    return added;
}

Result<void> ByteQueue::peek(fs::Destination& destination, size_t size, size_t& copied) const {
    size_t offset = offset_;
    for (pbuf* buffer = first_; buffer && copied < size; buffer = buffer->next) {
        size_t piece = std::min(buffer->len - offset, size - copied);
        if (piece) TRY(destination.put(static_cast<std::byte*>(buffer->payload) + offset, piece));
        copied += piece;
        offset = 0;
    }
    return {};
}

void ByteQueue::drop(size_t size) {
    if (size >= size_) return clear();
    size_ -= size;
    while (pbuf* buffer = first_) {
        size_t here = buffer->len - offset_;
        if (size < here) {
            offset_ += size;
            return;
        }
        size -= here;
        offset_ = 0;
        first_ = buffer->next;
        buffer->next = nullptr;
        buffer->tot_len = buffer->len;
        pbuf_free(buffer);
    }
}

void ByteQueue::clear() {
    while (pbuf* buffer = first_) {
        first_ = buffer->next;
        buffer->next = nullptr;
        buffer->tot_len = buffer->len;
        pbuf_free(buffer);
    }
    last_ = nullptr;
    offset_ = size_ = room_ = 0;
}

}  // namespace net
