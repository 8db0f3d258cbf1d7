// A model of a virtio device, written from the specification (virtio 1.2, 2.7) and apart from the driver's code:
// it follows the rings through the addresses that the driver gave it.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "drivers/virtio/transport.h"

namespace model {

struct Descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags;
    uint16_t next;
};

struct Chain {
    uint16_t head = 0;
    std::vector<Descriptor> readable, writable;

    std::string text() const {
        std::string all;
        for (const Descriptor& d : readable) all.append(reinterpret_cast<const char*>(d.address), d.length);
        return all;
    }
    // Writes as much of `data` as fits; returns how much.
    uint32_t fill(const std::string& data) const {
        uint32_t done = 0;
        for (const Descriptor& d : writable) {
            auto part = static_cast<uint32_t>(std::min<size_t>(d.length, data.size() - done));
            std::memcpy(reinterpret_cast<void*>(d.address), data.data() + done, part);
            done += part;
        }
        return done;
    }
};

// The device's side of one ring.
class DeviceRing {
  public:
    DeviceRing() = default;
    explicit DeviceRing(const drivers::virtio::SplitRing& ring)
        : size_(ring.size()), descriptors_(reinterpret_cast<Descriptor*>(ring.descriptor_area().value())),
          available_(reinterpret_cast<uint16_t*>(ring.driver_area().value())),
          used_(reinterpret_cast<uint16_t*>(ring.device_area().value())) {}

    uint16_t size() const { return size_; }
    bool interrupts_wanted() const { return (available_[0] & 1) == 0; }
    void want_notifications(bool wanted) { used_[0] = wanted ? 0 : 1; }
    uint16_t available_index() const { return available_[1]; }

    std::optional<Chain> pop() {
        if (seen_ == available_[1]) return std::nullopt;
        Chain chain;
        chain.head = available_[2 + seen_++ % size_];
        for (uint16_t i = chain.head, steps = 0; steps < size_; steps++) {
            const Descriptor& d = descriptors_[i];
            (d.flags & 2 ? chain.writable : chain.readable).push_back(d);
            if (!(d.flags & 1)) break;
            i = d.next;
        }
        return chain;
    }
    void push(uint32_t id, uint32_t length) {
        uint32_t element[2] = {id, length};
        std::memcpy(used_ + 2 + 4 * (used_[1] % size_), element, sizeof(element));
        used_[1]++;
    }
    void set_used_index(uint16_t index) { used_[1] = index; }

  private:
    uint16_t size_ = 0;
    Descriptor* descriptors_ = nullptr;
    uint16_t* available_ = nullptr;
    uint16_t* used_ = nullptr;
    uint16_t seen_ = 0;
};

class ModelTransport : public drivers::virtio::Transport {
  public:
    uint32_t type = 0;
    uint64_t features = drivers::virtio::kFeatureVersion1;
    uint64_t driver_features = 0;
    uint8_t status_bits = 0;
    std::vector<uint8_t> status_history;
    uint16_t queue_count = 64, queue_maximum = 128;
    bool accepts_features = true, resets = true;
    std::string config;
    std::map<uint16_t, DeviceRing> rings;
    std::function<void(uint16_t queue)> on_notify = [](uint16_t) {};
    void (*handler)(void*) = nullptr;
    void* handler_context = nullptr;
    unsigned acknowledged = 0;

    void interrupt() {
        if (handler) handler(handler_context);
    }

    uint32_t device_type() const override { return type; }
    uint8_t status() override {
        if (!resets && status_bits == 0) return 0x80;
        return accepts_features ? status_bits : status_bits & ~8;
    }
    void set_status(uint8_t status) override {
        status_bits = status;
        status_history.push_back(status);
    }
    uint64_t device_features() override { return features; }
    void set_driver_features(uint64_t value) override { driver_features = value; }
    uint16_t maximum_queue_size(uint16_t queue) override { return queue < queue_count ? queue_maximum : 0; }
    Result<void> enable_queue(uint16_t queue, const drivers::virtio::SplitRing& ring) override {
        rings[queue] = DeviceRing(ring);
        return {};
    }
    void notify(uint16_t queue) override { on_notify(queue); }
    void read_config(size_t offset, std::span<std::byte> destination) override {
        for (size_t i = 0; i < destination.size(); i++) {
            destination[i] = offset + i < config.size() ? static_cast<std::byte>(config[offset + i]) : std::byte{0};
        }
    }
    Result<void> connect(void (*h)(void*), void* context) override {
        handler = h;
        handler_context = context;
        return {};
    }
    void acknowledge() override { acknowledged++; }
};

}  // namespace model
