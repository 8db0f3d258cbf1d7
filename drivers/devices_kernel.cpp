// Finds the machine's devices and starts them: the composition of drivers/.
#include "drivers/devices.h"

#include <cstring>

#include "arch/x86_64/apic.h"
#include "arch/x86_64/registers.h"
#include "core/log.h"
#include "drivers/acpi/acpi.h"
#include "drivers/apic/ioapic.h"
#include "drivers/entropy_kernel.h"
#include "drivers/pci/pci.h"
#include "drivers/serial_port.h"
#include "drivers/virtio/console.h"
#include "drivers/virtio/discovery.h"
#include "drivers/virtio/entropy.h"
#include "drivers/virtio/net.h"

namespace drivers {
namespace {

// Written by discover_platform() and initialize() on the boot processor, constant afterwards. Devices live as
// long as the machine.
struct Devices {
    std::string_view command_line;
    acpi::FixedList<uint32_t, 64> processors;
    virtio::Console* console = nullptr;
    virtio::Network* network = nullptr;
    virtio::Entropy* entropy = nullptr;
};
constinit Devices g_devices;

template <typename T>
void start(std::string_view what, T*& slot, std::unique_ptr<virtio::Transport> transport) {
    if (slot) {
        klog::warn("virtio: a second {} is ignored", what);
        return;
    }
    auto device = T::create(std::move(transport));
    if (device) slot = device->release();
    else klog::error("virtio: {} does not start: {}", what, device.error());
}

void start(std::unique_ptr<virtio::Transport> transport) {
    switch (transport->device_type()) {
        case virtio::kConsoleId: return start("console", g_devices.console, std::move(transport));
        case virtio::kNetworkId: return start("network card", g_devices.network, std::move(transport));
        case virtio::kEntropyId: return start("entropy source", g_devices.entropy, std::move(transport));
        default: klog::info("virtio: device of type {} has no driver", transport->device_type());
    }
}

void start_pci() {
    if (!pci::port_config_space_present()) return;
    auto found = [](void*, const pci::Function& function) {
        uint32_t type = virtio::pci_device_type(function);
        klog::debug("pci: {:x}:{:x}.{} {:x}:{:x} class {:x}{:x}", function.address.bus, function.address.device,
                    function.address.function, function.vendor, function.device, function.base_class,
                    function.sub_class);
        if (type == 0) return;
        if (type != virtio::kConsoleId && type != virtio::kNetworkId && type != virtio::kEntropyId) {
            klog::info("virtio: PCI device {} of type {} has no driver", function.address.device, type);
            return;
        }
        auto transport = virtio::make_pci_transport(pci::port_config_space(), function);
        if (transport) start(std::move(*transport));
        else klog::warn("virtio: PCI device {} of type {}: {}", function.address.device, type, transport.error());
    };
    pci::enumerate(pci::port_config_space(), found, nullptr);
}

void start_mmio() {
    acpi::VirtioMmioSlots slots = acpi::platform().virtio_mmio;
    if (slots.count == 0) virtio::parse_mmio_slots(g_devices.command_line, slots);
    if (slots.count == 0 && !acpi::platform().present) {
        // QEMU's microvm without ACPI and without auto-kernel-cmdline: eight fixed slots (hw/i386/microvm.c).
        for (uint32_t i = 0; i < 8; i++) {
            slots.add({PhysAddr(0xfeb0'0000 + 0x200 * i), 0x200, 5 + i, acpi::Trigger::kLevel,
                       acpi::Polarity::kHigh});
        }
    }
    for (const acpi::VirtioMmioSlot& slot : slots) {
        auto transport = virtio::make_mmio_transport(slot);
        if (transport) start(std::move(*transport));
    }
}

}  // namespace

void discover_platform(const BootHardware& boot) {
    g_devices.command_line = boot.command_line;
    acpi::discover(boot.rsdp);
    // The boot processor first, whatever the table's order.
    uint32_t self = arch::cpuid(1).ebx >> 24;
    auto leaf = arch::cpuid(0).eax >= 0xb ? arch::cpuid(0xb) : arch::CpuidResult{};
    if (leaf.ebx != 0) self = leaf.edx;
    g_devices.processors = {};
    g_devices.processors.add(self);
    if (!acpi::platform().madt) return;
    for (uint32_t id : acpi::platform().madt->processors) {
        if (id != self) g_devices.processors.add(id);
    }
    if (acpi::platform().madt->processors.dropped || g_devices.processors.dropped) {
        klog::warn("acpi: more processors than the kernel can use");
    }
}

void initialize() {
    ioapic::initialize();
    start_pci();
    start_mmio();
    klog::info("drivers: console {}, network {}, entropy {}", g_devices.console != nullptr,
               g_devices.network != nullptr, g_devices.entropy != nullptr);
}

std::span<const uint32_t> processor_apic_ids() {
    return {g_devices.processors.begin(), g_devices.processors.count};
}

Port* find_port(std::string_view name) {
    return g_devices.console ? g_devices.console->find(name) : serial_port(name);
}
NetworkDevice* network_device() { return g_devices.network; }

void hardware_entropy(std::span<std::byte> destination) {
    size_t done = g_devices.entropy ? g_devices.entropy->read(destination) : 0;
    if (done == destination.size()) return;
    if (processor_entropy(destination.subspan(done))) return;
    klog::warn("random: no entropy source but the time: keys and addresses of this machine can be guessed");
    for (; done < destination.size(); done++) {
        // The low bits of the time between two exits to the hypervisor.
        (void)arch::cpuid(0);
        destination[done] = static_cast<std::byte>(arch::read_tsc() * 0x9e37'79b9'7f4a'7c15 >> 56);
    }
}

}  // namespace drivers
