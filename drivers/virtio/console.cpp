#include "drivers/virtio/console.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/log.h"
#include "drivers/registers.h"

namespace drivers::virtio {
namespace {

constexpr uint64_t kFeatureMultiport = 1 << 1;
constexpr size_t kConfigMaximumPorts = 4;
// Control events (virtio 1.2, 5.3.6.2).
enum Event : uint16_t {
    kDeviceReady = 0,
    kPortAdd = 1,
    kPortRemove = 2,
    kPortReady = 3,
    kConsolePort = 4,
    kResize = 5,
    kPortOpen = 6,
    kPortName = 7,
};
// Queue numbers (5.3.2): port 0 has 0 and 1, control 2 and 3, port n > 0 has 2n + 2 and 2n + 3.
constexpr uint16_t kControlReceive = 2, kControlTransmit = 3;
constexpr uint16_t receive_queue(uint32_t port) { return static_cast<uint16_t>(port == 0 ? 0 : 2 * port + 2); }

// Few entries, so that the rings of many ports share a page. At least as many as a port has buffers.
constexpr uint16_t kPortRingSize = 8;

}  // namespace

struct Console::Message {
    struct Header {
        uint32_t id;
        uint16_t event;
        uint16_t value;
    } header;
    char text[kControlSize - sizeof(Header)];
    size_t text_size;
};

Result<std::unique_ptr<Console>> Console::create(std::unique_ptr<Transport> transport) {
    auto console = TRY(core::make<Console>(std::move(transport)));
    if (auto started = console->start(); !started) {
        return fail(started.error());  // the destructor resets the device
    }
    console->wait_for_names();
    return console;
}

Console::~Console() {
    abandon(*transport_);
    for (Slot& slot : slots_) delete slot.port.load();
}

Result<void> Console::start() {
    uint64_t features = TRY(begin(*transport_, kFeatureMultiport));
    if (!(features & kFeatureMultiport)) {
        klog::warn("virtio: a console without named ports is ignored");
        return fail(Errno::kNoDev);
    }
    port_limit_ = std::min(transport_->read_config<uint32_t>(kConfigMaximumPorts), kMaximumPorts);
    control_receive_ = TRY(Queue::create(*transport_, kControlReceive, kControlBuffers, arena_));
    control_transmit_ = TRY(Queue::create(*transport_, kControlTransmit, kSendBuffers, arena_));
    control_transmit_.ring.disable_interrupts();
    control_buffers_ = TRY(arena_.take(kControlBuffers * kControlSize));
    send_buffers_ = TRY(arena_.take(kSendBuffers * kSendSize));
    for (uint32_t id = 0; id < port_limit_; id++) {
        uint16_t number = receive_queue(id);
        slots_[id].receive = TRY(Queue::create(*transport_, number, kPortRingSize, arena_));
        slots_[id].transmit = TRY(Queue::create(*transport_, number + 1, kPortRingSize, arena_));
    }
    for (uint32_t i = 0; i < control_receive_.ring.size(); i++) {
        SplitRing::Piece piece{control_buffers_.physical + i * kControlSize, kControlSize};
        TRY(control_receive_.ring.add({}, {&piece, 1}, i));
    }
    TRY(transport_->connect([](void* self) { static_cast<Console*>(self)->on_interrupt(); }, this));
    finish(*transport_);
    control_receive_.kick();
    send(0xffff'ffff, kDeviceReady, 1);
    return {};
}

// The device answers DEVICE_READY with a PORT_ADD for each port before it looks at our PORT_READY messages, so
// once a port has answered its PORT_READY, all ports are known. The wait is bounded: ports need not have names.
void Console::wait_for_names() {
    for (unsigned i = 0; i < 200'000; i++) {
        pump();
        unsigned added = 0, answered = 0;
        for (const Slot& slot : slots_) {
            added += slot.port.load() != nullptr;
            answered += slot.answered;
        }
        if (added > 0 && answered == added) return;
        cpu_relax();
    }
    klog::debug("virtio: some console ports did not tell their names");
}

bool Console::take_message(Message& message) {
    core::SpinGuard guard(lock_);
    auto used = control_receive_.ring.take();
    if (!used) return false;
    const std::byte* buffer = control_buffers_.data + used->token * kControlSize;
    size_t size = std::min<size_t>(used->written, kControlSize);
    message = {};
    // Too short a message becomes one for no port.
    message.header.id = ~0u;
    if (size >= sizeof(message.header)) {
        std::memcpy(&message.header, buffer, sizeof(message.header));
        message.text_size = size - sizeof(message.header);
        std::memcpy(message.text, buffer + sizeof(message.header), message.text_size);
    }
    SplitRing::Piece piece{control_buffers_.physical + used->token * kControlSize, kControlSize};
    (void)control_receive_.ring.add({}, {&piece, 1}, used->token);
    control_receive_.kick();
    return true;
}

void Console::pump() {
    Message message;
    // Bounded: a device that never stops talking must not hold the processor.
    for (unsigned i = 0; i < 1024 && take_message(message); i++) handle(message);
}

void Console::handle(const Message& message) {
    uint32_t id = message.header.id;
    if (id >= port_limit_) {
        if (message.header.event == kPortAdd) klog::warn("virtio: console port {} is beyond the limit", id);
        return;
    }
    Slot& slot = slots_[id];
    if (message.header.event == kPortAdd) {
        add_port(id);
        return;
    }
    ConsolePort* port = slot.port.load();
    if (!port) return;
    switch (message.header.event) {
        case kPortRemove:
            port->set_host_open(false);
            break;
        case kPortOpen:
            slot.answered = true;
            port->set_host_open(message.header.value != 0);
            break;
        case kPortName: {
            std::string_view name(message.text, message.text_size);
            port->set_name(name.substr(0, name.find('\0')));
            slot.answered = true;
            klog::debug("virtio: console port {} is {}", id, port->name());
            break;
        }
        case kConsolePort:
        case kResize:
        default:
            slot.answered = true;
            break;
    }
}

void Console::add_port(uint32_t id) {
    Slot& slot = slots_[id];
    if (slot.port.load()) return;
    Result<std::unique_ptr<ConsolePort>> port = fail(Errno::kNoDev);
    if (slot.receive) port = ConsolePort::create(std::move(slot.receive), std::move(slot.transmit));
    if (!port) {
        klog::error("virtio: console port {}: {}", id, port.error());
        send(id, kPortReady, 0);
        return;
    }
    slot.port.store(port->release());
    send(id, kPortReady, 1);
    send(id, kPortOpen, 1);  // the device holds back the host's bytes until then
}

void Console::send(uint32_t id, uint16_t event, uint16_t value) {
    core::SpinGuard guard(lock_);
    for (unsigned i = 0; i < 1'000'000 && !control_transmit_.ring.broken(); i++) {
        while (auto used = control_transmit_.ring.take()) send_free_ |= 1u << used->token;
        if (send_free_ != 0) break;
        cpu_relax();
    }
    if (send_free_ == 0 || control_transmit_.ring.broken()) {
        klog::error("virtio: the console takes no control messages");
        return;
    }
    auto buffer = static_cast<uint32_t>(std::countr_zero(send_free_));
    Message::Header header{id, event, value};
    std::memcpy(send_buffers_.data + buffer * kSendSize, &header, sizeof(header));
    SplitRing::Piece piece{send_buffers_.physical + buffer * kSendSize, sizeof(header)};
    if (!control_transmit_.ring.add({&piece, 1}, {}, buffer)) return;
    send_free_ &= ~(1u << buffer);
    control_transmit_.kick();
}

Port* Console::find(std::string_view name) {
    for (Slot& slot : slots_) {
        ConsolePort* port = slot.port.load();
        if (port && !name.empty() && port->name() == name) return port;
    }
    return nullptr;
}

void Console::on_interrupt() {
    transport_->acknowledge();
    pump();
    for (Slot& slot : slots_) {
        if (ConsolePort* port = slot.port.load()) port->on_interrupt();
    }
}

}  // namespace drivers::virtio
