#include <algorithm>
#include <bit>
#include <cstring>

#include "core/log.h"
#include "drivers/virtio/console.h"
#include "fs/poll.h"

namespace drivers::virtio {

ConsolePort::ConsolePort(Queue receive, Queue transmit)
    : receive_(std::move(receive)), transmit_(std::move(transmit)) {}

Result<std::unique_ptr<ConsolePort>> ConsolePort::create(Queue receive, Queue transmit) {
    auto order_of = [](size_t bytes) { return static_cast<unsigned>(std::countr_zero(bytes / kPageSize)); };
    auto port = TRY(core::make<ConsolePort>(std::move(receive), std::move(transmit)));
    port->receive_memory_ = TRY(DmaMemory::create(order_of(kReceiveBuffers * kReceiveSize)));
    port->transmit_memory_ = TRY(DmaMemory::create(order_of(kTransmitBuffers * kTransmitSize)));
    port->transmit_.ring.disable_interrupts();
    for (uint32_t i = 0; i < kReceiveBuffers; i++) port->give_back_locked(i);
    port->receive_.kick();
    return port;
}

std::string_view ConsolePort::name() const { return {name_, name_length_.load(std::memory_order_acquire)}; }

void ConsolePort::set_name(std::string_view name) {
    if (name_length_.load() != 0) return;
    size_t length = std::min(name.size(), sizeof(name_) - 1);
    std::memcpy(name_, name.data(), length);
    name_length_.store(length, std::memory_order_release);
}

void ConsolePort::set_host_open(bool open) {
    // A port that was never open cannot be closed: readers go on waiting for the host.
    if (!open && state_.load() == State::kNeverOpened) return;
    state_.store(open ? State::kOpen : State::kClosed);
    announce(fs::kPollIn | fs::kPollOut | (open ? 0 : fs::kPollHup));
}

void ConsolePort::announce(uint32_t events) {
    changed.wake_all(events);
    if (handler) handler(*this, handler_context);
}

void ConsolePort::give_back_locked(uint32_t buffer) const {
    SplitRing::Piece piece{receive_memory_.physical() + buffer * kReceiveSize, kReceiveSize};
    // Cannot be full: the ring has room for all buffers, each is in it once. A broken ring takes nothing.
    (void)receive_.ring.add({}, {&piece, 1}, buffer);
}

bool ConsolePort::fetch_locked() const {
    while (!has_current_) {
        auto used = receive_.ring.take();
        if (!used) return false;
        if (used->written == 0) {
            give_back_locked(used->token);
            receive_.kick();
            continue;
        }
        has_current_ = true;
        current_buffer_ = used->token;
        current_size_ = used->written;
        current_offset_ = 0;
    }
    return true;
}

size_t ConsolePort::read(void* data, size_t size) {
    core::SpinGuard guard(lock_);
    size_t done = 0;
    while (done < size && fetch_locked()) {
        size_t part = std::min<size_t>(size - done, current_size_ - current_offset_);
        std::memcpy(static_cast<std::byte*>(data) + done,
                    receive_memory_.data() + current_buffer_ * kReceiveSize + current_offset_, part);
        done += part;
        current_offset_ += static_cast<uint32_t>(part);
        if (current_offset_ == current_size_) {
            has_current_ = false;
            give_back_locked(current_buffer_);
            receive_.kick();
        }
    }
    return done;
}

bool ConsolePort::readable() const {
    core::SpinGuard guard(lock_);
    return fetch_locked();
}

// Takes back transmit buffers that the device is done with; true if there were any.
bool ConsolePort::reclaim_locked() const {
    bool any = false;
    while (auto used = transmit_.ring.take()) {
        transmit_free_ |= 1u << used->token;
        any = true;
    }
    return any;
}

// Interrupts are wanted only while buffers are out: QEMU mostly takes a buffer within the notification.
void ConsolePort::settle_transmit_locked() const {
    reclaim_locked();
    if (transmit_free_ == kAllFree) {
        transmit_.ring.disable_interrupts();
    } else if (transmit_.ring.enable_interrupts()) {
        reclaim_locked();
    }
}

size_t ConsolePort::write(const void* data, size_t size) {
    core::SpinGuard guard(lock_);
    reclaim_locked();
    size_t done = 0;
    while (done < size && transmit_free_ != 0) {
        auto buffer = static_cast<uint32_t>(std::countr_zero(transmit_free_));
        size_t part = std::min(size - done, kTransmitSize);
        std::memcpy(transmit_memory_.data() + buffer * kTransmitSize, static_cast<const std::byte*>(data) + done,
                    part);
        SplitRing::Piece piece{transmit_memory_.physical() + buffer * kTransmitSize, static_cast<uint32_t>(part)};
        if (!transmit_.ring.add({&piece, 1}, {}, buffer)) break;
        transmit_free_ &= ~(1u << buffer);
        done += part;
    }
    if (transmit_.ring.broken()) return size;  // a dead device takes everything, as a closed one does
    if (done > 0) {
        transmit_.kick();
        settle_transmit_locked();
    }
    return done;
}

bool ConsolePort::writable() const {
    core::SpinGuard guard(lock_);
    settle_transmit_locked();
    return transmit_free_ != 0 || transmit_.ring.broken();
}

bool ConsolePort::drained() const {
    core::SpinGuard guard(lock_);
    settle_transmit_locked();
    return transmit_free_ == kAllFree || transmit_.ring.broken();
}

void ConsolePort::on_interrupt() {
    uint32_t events = 0;
    bool broken = false;
    {
        core::SpinGuard guard(lock_);
        uint16_t index = receive_.ring.device_index();
        if (index != announced_index_) {
            announced_index_ = index;
            events |= fs::kPollIn;
        }
        uint32_t free_before = transmit_free_;
        settle_transmit_locked();
        if (transmit_free_ != free_before) events |= fs::kPollOut;
        fetch_locked();
        broken = receive_.ring.broken();
    }
    if (broken && state_.exchange(State::kClosed) != State::kClosed) {
        klog::error("virtio: the device broke the receive ring of port {}", name());
        events |= fs::kPollIn | fs::kPollHup;
    }
    if (events) announce(events);
}

}  // namespace drivers::virtio
