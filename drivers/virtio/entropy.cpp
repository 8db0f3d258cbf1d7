#include "drivers/virtio/entropy.h"

#include <algorithm>
#include <cstring>

#include "drivers/registers.h"

namespace drivers::virtio {
namespace {

constexpr uint32_t kRequestSize = 64;

}  // namespace

Result<std::unique_ptr<Entropy>> Entropy::create(std::unique_ptr<Transport> transport) {
    auto entropy = TRY(core::make<Entropy>(std::move(transport)));
    if (auto started = entropy->start(); !started) {
        abandon(*entropy->transport_);
        return fail(started.error());
    }
    return entropy;
}

Result<void> Entropy::start() {
    TRY(begin(*transport_, 0));
    queue_ = TRY(Queue::create(*transport_, 0, 2, arena_));
    queue_.ring.disable_interrupts();
    buffer_ = TRY(arena_.take(kRequestSize));
    finish(*transport_);
    request();
    return {};
}

void Entropy::request() {
    SplitRing::Piece piece{buffer_.physical, kRequestSize};
    if (queue_.ring.add({}, {&piece, 1}, 0)) queue_.kick();
}

size_t Entropy::read(std::span<std::byte> destination) {
    size_t done = 0;
    // The host answers when its main loop runs; a second source stands by, so the wait is short.
    for (unsigned i = 0; i < 100'000 && done < destination.size(); i++) {
        auto used = queue_.ring.take();
        if (!used) {
            if (queue_.ring.broken()) break;
            cpu_relax();
            continue;
        }
        size_t part = std::min<size_t>(used->written, destination.size() - done);
        std::memcpy(destination.data() + done, buffer_.data, part);
        std::memset(buffer_.data, 0, kRequestSize);
        done += part;
        request();
    }
    return done;
}

}  // namespace drivers::virtio
