#include "drivers/virtio/net.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

#include "core/log.h"

namespace drivers::virtio {
namespace {

// Feature bits (virtio 1.2, 5.1.3).
constexpr uint64_t kFeatureChecksum = 1ull << 0, kFeatureGuestChecksum = 1ull << 1, kFeatureMtu = 1ull << 3,
                   kFeatureMac = 1ull << 5, kFeatureMergeable = 1ull << 15, kFeatureStatus = 1ull << 16;
// Configuration structure (5.1.4).
constexpr size_t kConfigMac = 0, kConfigMtu = 10;

// Before every frame, both ways (5.1.6).
struct Header {
    uint8_t flags;
    uint8_t gso_type;
    uint16_t header_length;
    uint16_t gso_size;
    uint16_t checksum_start;
    uint16_t checksum_offset;
    uint16_t buffer_count;
};
static_assert(sizeof(Header) == 12);
constexpr uint8_t kNeedsChecksum = 1, kDataValid = 2;
constexpr size_t kEthernetHeader = 14, kVlanTag = 4;

}  // namespace

Result<std::unique_ptr<Network>> Network::create(std::unique_ptr<Transport> transport) {
    auto network = TRY(core::make<Network>(std::move(transport)));
    if (auto started = network->start(); !started) {
        abandon(*network->transport_);
        return fail(started.error());
    }
    return network;
}

Result<void> Network::start() {
    uint64_t features = TRY(begin(*transport_, kFeatureChecksum | kFeatureGuestChecksum | kFeatureMtu | kFeatureMac |
                                                   kFeatureMergeable | kFeatureStatus));
    checksum_offload_ = (features & kFeatureChecksum) != 0;
    if (features & kFeatureMac) {
        mac_ = transport_->read_config<MacAddress>(kConfigMac);
    } else {
        mac_ = {{0x52, 0x54, 0x00, 0x69, 0x73, 0x6f}};  // locally administered
    }
    if (features & kFeatureMtu) {
        // Buffers hold the standard frame size; larger offers are not used. RFC 791 demands at least 68.
        mtu_ = std::clamp<uint16_t>(transport_->read_config<uint16_t>(kConfigMtu), 68, 1500);
    }
    receive_queue_ = TRY(Queue::create(*transport_, 0, kReceiveBuffers, arena_));
    transmit_queue_ = TRY(Queue::create(*transport_, 1, kTransmitBuffers, arena_));
    auto order_of = [](size_t bytes) { return static_cast<unsigned>(std::countr_zero(bytes / kPageSize)); };
    receive_memory_ = TRY(DmaMemory::create(order_of(kReceiveBuffers * kBufferSize)));
    transmit_memory_ = TRY(DmaMemory::create(order_of(kTransmitBuffers * kBufferSize)));
    scratch_.reset(new (std::nothrow) std::byte[kScratchSize]);
    if (!scratch_) return fail(Errno::kNoMem);
    transmit_queue_.ring.disable_interrupts();
    uint16_t buffers = std::min(kReceiveBuffers, receive_queue_.ring.size());
    for (uint32_t i = 0; i < buffers; i++) {
        SplitRing::Piece piece{receive_memory_.physical() + i * kBufferSize, kBufferSize};
        TRY(receive_queue_.ring.add({}, {&piece, 1}, i));
    }
    if (transmit_queue_.ring.size() < kTransmitBuffers) {
        transmit_free_ = (uint64_t{1} << transmit_queue_.ring.size()) - 1;
    }
    TRY(transport_->connect([](void* self) { static_cast<Network*>(self)->on_interrupt(); }, this));
    finish(*transport_);
    receive_queue_.kick();
    return {};
}

void Network::set_receiver(Receiver receiver, void* context) {
    receiver_context_ = context;
    receiver_.store(receiver, std::memory_order_release);
}

void Network::set_transmit_ready(void (*ready)(void*), void* context) {
    transmit_ready_context_ = context;
    transmit_ready_.store(ready, std::memory_order_release);
}

void Network::reclaim_locked() {
    while (auto used = transmit_queue_.ring.take()) transmit_free_ |= uint64_t{1} << used->token;
}

Result<void> Network::transmit(std::span<const std::span<const std::byte>> pieces, Checksum checksum) {
    size_t length = 0;
    for (auto piece : pieces) length += piece.size();
    if (length > mtu_ + kEthernetHeader + kVlanTag) return fail(Errno::kMsgSize);
    Header header{};
    if (checksum.needed && checksum_offload_ && size_t{checksum.start} + checksum.offset + 2 <= length) {
        header.flags = kNeedsChecksum;
        header.checksum_start = checksum.start;
        header.checksum_offset = checksum.offset;
    }
    core::SpinGuard guard(transmit_lock_);
    // No transmit interrupts while there is room: buffers come back when the next frame wants one.
    reclaim_locked();
    if (transmit_free_ == 0 && !transmit_blocked_) {
        transmit_blocked_ = true;
        if (transmit_queue_.ring.enable_interrupts()) reclaim_locked();
    }
    if (transmit_free_ == 0) return fail(transmit_queue_.ring.broken() ? Errno::kIo : Errno::kAgain);
    auto buffer = static_cast<uint32_t>(std::countr_zero(transmit_free_));
    std::byte* data = transmit_memory_.data() + buffer * kBufferSize;
    std::memcpy(data, &header, sizeof(header));
    size_t at = sizeof(header);
    for (auto piece : pieces) {
        std::memcpy(data + at, piece.data(), piece.size());
        at += piece.size();
    }
    SplitRing::Piece whole{transmit_memory_.physical() + buffer * kBufferSize, static_cast<uint32_t>(at)};
    TRY(transmit_queue_.ring.add({&whole, 1}, {}, buffer));
    transmit_free_ &= ~(uint64_t{1} << buffer);
    transmit_queue_.kick();
    return {};
}

size_t Network::take_batch(Piece* batch) {
    core::SpinGuard guard(receive_lock_);
    size_t count = 0;
    while (count < kBatch) {
        auto used = receive_queue_.ring.take();
        if (!used) break;
        batch[count++] = {used->token, used->written};
    }
    return count;
}

void Network::give_back(const Piece* batch, size_t count) {
    core::SpinGuard guard(receive_lock_);
    for (size_t i = 0; i < count; i++) {
        SplitRing::Piece piece{receive_memory_.physical() + batch[i].buffer * kBufferSize, kBufferSize};
        // Cannot be full: each buffer is in the ring once. A broken ring takes nothing any more.
        (void)receive_queue_.ring.add({}, {&piece, 1}, batch[i].buffer);
    }
    receive_queue_.kick();
}

// One used buffer: a whole frame, or a part of one that the device spread over several (5.1.6.3.1).
void Network::deliver(const Piece& piece) {
    const std::byte* data = receive_memory_.data() + piece.buffer * kBufferSize;
    Receiver receiver = receiver_.load(std::memory_order_acquire);
    if (pieces_to_come_ == 0) {
        if (piece.size < sizeof(Header) + kEthernetHeader) {
            dropped_++;
            return;
        }
        Header header;
        std::memcpy(&header, data, sizeof(header));
        bool good = (header.flags & (kNeedsChecksum | kDataValid)) != 0;
        std::span frame(data + sizeof(header), piece.size - sizeof(header));
        if (header.buffer_count <= 1) {
            if (receiver) receiver(receiver_context_, frame, good);
            else dropped_++;
            return;
        }
        // More buffers than can be out at once is nonsense: the rest would be taken for a frame's tail.
        pieces_to_come_ = std::min<unsigned>(header.buffer_count, kReceiveBuffers) - 1;
        scratch_checksum_good_ = good;
        scratch_overflow_ = false;
        std::memcpy(scratch_.get(), frame.data(), frame.size());
        scratch_size_ = frame.size();
        return;
    }
    pieces_to_come_--;
    if (scratch_size_ + piece.size > kScratchSize) scratch_overflow_ = true;
    if (!scratch_overflow_) {
        std::memcpy(scratch_.get() + scratch_size_, data, piece.size);
        scratch_size_ += piece.size;
    }
    if (pieces_to_come_ > 0) return;
    if (receiver && !scratch_overflow_) {
        receiver(receiver_context_, {scratch_.get(), scratch_size_}, scratch_checksum_good_);
    } else {
        dropped_++;
    }
}

void Network::receive() {
    // Whoever comes second leaves: the first looks again after it has given up the mark.
    while (!receiving_.exchange(true)) {
        {
            core::SpinGuard guard(receive_lock_);
            receive_queue_.ring.disable_interrupts();
        }
        Piece batch[kBatch];
        while (size_t count = take_batch(batch)) {
            for (size_t i = 0; i < count; i++) deliver(batch[i]);
            give_back(batch, count);
        }
        receiving_.store(false);
        core::SpinGuard guard(receive_lock_);
        if (!receive_queue_.ring.enable_interrupts()) return;
    }
}

// True once after a refusal, when at least a quarter of the buffers is free: not for each single one.
bool Network::transmit_room_came() {
    core::SpinGuard guard(transmit_lock_);
    if (!transmit_blocked_) return false;
    reclaim_locked();
    if (std::popcount(transmit_free_) * 4 < transmit_queue_.ring.size() && transmit_queue_.ring.in_flight() > 0) {
        return false;
    }
    transmit_blocked_ = false;
    transmit_queue_.ring.disable_interrupts();
    return true;
}

void Network::on_interrupt() {
    transport_->acknowledge();
    receive();
    if (!transmit_room_came()) return;
    if (auto ready = transmit_ready_.load(std::memory_order_acquire)) ready(transmit_ready_context_);
}

}  // namespace drivers::virtio
