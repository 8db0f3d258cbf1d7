#include "drivers/virtio/split_ring.h"

#include <algorithm>
#include <atomic>
#include <cstring>

namespace drivers::virtio {
namespace {

// Descriptor and ring flags (virtio 1.2, 2.7.5, 2.7.6, 2.7.8).
constexpr uint16_t kNext = 1, kWrite = 2;
constexpr uint16_t kNoInterrupt = 1;
constexpr uint16_t kNoNotify = 1;

}  // namespace

Result<void> SplitRing::initialize(std::byte* memory, PhysAddr physical, uint16_t size) {
    if (size == 0 || size > 32768 || (size & (size - 1)) != 0) return fail(Errno::kInval);
    TRY(states_.resize(size));
    for (uint16_t i = 0; i < size; i++) states_[i] = State{static_cast<uint16_t>(i + 1)};
    memory_ = memory;
    physical_ = physical;
    size_ = free_count_ = size;
    return {};
}

Result<void> SplitRing::add(std::span<const Piece> readable, std::span<const Piece> writable, uint32_t token) {
    size_t count = readable.size() + writable.size();
    if (count == 0) return fail(Errno::kInval);
    if (broken_) return fail(Errno::kIo);
    if (count > free_count_) return fail(Errno::kAgain);

    auto* descriptors = reinterpret_cast<Descriptor*>(memory_);
    uint16_t head = free_head_;
    uint64_t writable_bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bool writes = i >= readable.size();
        const Piece& piece = writes ? writable[i - readable.size()] : readable[i];
        bool last = i + 1 == count;
        uint16_t index = free_head_;
        free_head_ = states_[index].next;
        descriptors[index] = {piece.address.value(), piece.size,
                              static_cast<uint16_t>((last ? 0 : kNext) | (writes ? kWrite : 0)),
                              last ? uint16_t{0} : free_head_};
        if (writes) writable_bytes += piece.size;
    }
    free_count_ -= count;
    State& state = states_[head];
    state.chain_length = static_cast<uint16_t>(count);
    state.writable_bytes = static_cast<uint32_t>(std::min<uint64_t>(writable_bytes, ~uint32_t{0}));
    state.token = token;
    driver_ring(next_available_ & (size_ - 1)) = head;
    next_available_++;
    in_flight_++;
    return {};
}

bool SplitRing::publish() {
    if (published_ == next_available_) return false;
    published_ = next_available_;
    // Release: descriptors and ring entries before the index (2.7.13.3.1).
    std::atomic_ref(driver_index()).store(next_available_, std::memory_order_release);
    // The index before reading the device's flags (2.7.13.4.1), or both sides could wait.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    auto& flags = *reinterpret_cast<uint16_t*>(memory_ + device_offset(size_));
    return !(std::atomic_ref(flags).load(std::memory_order_relaxed) & kNoNotify);
}

uint16_t SplitRing::device_index() const {
    auto& index = *reinterpret_cast<uint16_t*>(memory_ + device_offset(size_) + 2);
    return std::atomic_ref(index).load(std::memory_order_acquire);
}

bool SplitRing::has_used() const { return !broken_ && device_index() != last_used_; }

std::optional<SplitRing::Used> SplitRing::take() {
    while (has_used()) {
        if (static_cast<uint16_t>(device_index() - last_used_) > in_flight_) {
            broken_ = true;
            return std::nullopt;
        }
        UsedElement element;
        std::memcpy(&element, memory_ + device_offset(size_) + 4 + 8 * size_t(last_used_ & (size_ - 1)),
                    sizeof(element));
        last_used_++;
        if (element.id >= size_ || states_[element.id].chain_length == 0) {
            malformed_++;
            continue;
        }
        // Walk the driver's own chain back onto the free list. Its links are still in order: a descriptor's
        // `next` was the free list's at the time and no one has changed it since.
        auto head = static_cast<uint16_t>(element.id);
        State& state = states_[head];
        uint16_t tail = head;
        for (uint16_t i = 1; i < state.chain_length; i++) tail = states_[tail].next;
        states_[tail].next = free_head_;
        free_head_ = head;
        free_count_ += state.chain_length;
        state.chain_length = 0;
        in_flight_--;
        return Used{state.token, std::min(element.length, state.writable_bytes)};
    }
    return std::nullopt;
}

void SplitRing::disable_interrupts() {
    std::atomic_ref(driver_flags()).store(kNoInterrupt, std::memory_order_relaxed);
}

bool SplitRing::enable_interrupts() {
    std::atomic_ref(driver_flags()).store(0, std::memory_order_relaxed);
    // The flag before looking for used chains, or an interrupt could be missed (2.7.14).
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return has_used();
}

}  // namespace drivers::virtio
