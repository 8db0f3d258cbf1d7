// The host's ports on a machine without a virtio console: the first serial port stands for them (docs/boot-protocol.md,
// "Channels").
#pragma once

#include <string_view>

#include "drivers/devices.h"

namespace drivers {

// For isounik.stdin (at its end), stdout, stderr and control; null for other names.
Port* serial_port(std::string_view name);

}  // namespace drivers
