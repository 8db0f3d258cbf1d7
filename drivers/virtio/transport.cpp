#include "drivers/virtio/transport.h"

#include <algorithm>
#include <bit>

#include "drivers/registers.h"

namespace drivers::virtio {
namespace {

// Device status bits (virtio 1.2, 2.1).
constexpr uint8_t kAcknowledge = 1, kDriver = 2, kDriverOk = 4, kFeaturesOk = 8, kFailed = 128;

}  // namespace

Result<uint64_t> begin(Transport& transport, uint64_t wanted) {
    transport.set_status(0);
    bool reset = false;
    for (unsigned i = 0; i < 100'000 && !reset; i++) {
        reset = transport.status() == 0;
        if (!reset) cpu_relax();
    }
    if (!reset) return fail(Errno::kProto);
    transport.set_status(kAcknowledge);
    transport.set_status(kAcknowledge | kDriver);
    uint64_t offered = transport.device_features();
    if (!(offered & kFeatureVersion1)) return fail(Errno::kNoDev);
    uint64_t agreed = offered & (wanted | kFeatureVersion1);
    transport.set_driver_features(agreed);
    transport.set_status(kAcknowledge | kDriver | kFeaturesOk);
    if (!(transport.status() & kFeaturesOk)) return fail(Errno::kProto);
    return agreed;
}

void finish(Transport& transport) { transport.set_status(kAcknowledge | kDriver | kFeaturesOk | kDriverOk); }

void abandon(Transport& transport) {
    transport.set_status(kFailed);
    transport.set_status(0);
}

Result<Queue> Queue::create(Transport& transport, uint16_t number, uint16_t wanted_size, DmaArena& arena) {
    uint16_t maximum = transport.maximum_queue_size(number);
    if (maximum == 0) return fail(Errno::kNoDev);
    uint16_t size = std::bit_floor(std::min(maximum, wanted_size));
    DmaArena::Piece memory = TRY(arena.take(SplitRing::memory_size(size)));
    Queue queue;
    TRY(queue.ring.initialize(memory.data, memory.physical, size));
    TRY(transport.enable_queue(number, queue.ring));
    queue.transport_ = &transport;
    queue.number_ = number;
    return queue;
}

}  // namespace drivers::virtio
