// virtio-rng (virtio 1.2, 5.4): the host's random numbers, read by polling at boot.
#pragma once

#include <memory>
#include <span>

#include "drivers/virtio/transport.h"

namespace drivers::virtio {

class Entropy {
  public:
    // Starts the device and asks it for the first bytes, so that they are there when they are wanted.
    static Result<std::unique_ptr<Entropy>> create(std::unique_ptr<Transport> transport);
    explicit Entropy(std::unique_ptr<Transport> transport) : transport_(std::move(transport)) {}

    // Bytes that the device gave, at most destination.size(); waits for them a bounded time. Single-threaded.
    size_t read(std::span<std::byte> destination);

  private:
    Result<void> start();
    void request();

    std::unique_ptr<Transport> transport_;
    DmaArena arena_;
    Queue queue_;
    DmaArena::Piece buffer_;
};

}  // namespace drivers::virtio
