// Finds virtio devices and makes a transport for each.
#pragma once

#include <memory>
#include <string_view>

#include "drivers/acpi/tables.h"
#include "drivers/pci/pci.h"
#include "drivers/virtio/transport.h"

namespace drivers::virtio {

// ENODEV: not a virtio 1 device or no MSI-X; EINVAL: broken capabilities; ENOSPC, ENOMEM.
Result<std::unique_ptr<Transport>> make_pci_transport(pci::ConfigSpace& config, const pci::Function& function);
// Is `function` a virtio device (transitional or modern)? Its device type, or 0.
uint32_t pci_device_type(const pci::Function& function);

// ENODEV: the slot is empty or legacy (a line says so); ENOMEM.
Result<std::unique_ptr<Transport>> make_mmio_transport(const acpi::VirtioMmioSlot& slot);

// Takes virtio_mmio.device=<size>@<address>:<irq>[:<id>] from a command line, as Linux does
// (drivers/virtio/virtio_mmio.c, "virtio_mmio module parameter"). Malformed ones are skipped.
void parse_mmio_slots(std::string_view command_line, acpi::VirtioMmioSlots& slots);

}  // namespace drivers::virtio
