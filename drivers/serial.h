// The first serial port (COM1) as the sink of the kernel's log. Polled: works from the first instruction on, in
// any context, without locks (core/log serialises its records).
#pragma once

#include <string_view>

namespace drivers {

// 115200 baud, 8N1, FIFOs on. Until it is called, and if there is no such port, serial_write() discards.
void serial_initialize();
void serial_write(std::string_view text);
// Waits until the last byte is out on the line: what is still in the port is lost when the machine ends.
void serial_drain();

}  // namespace drivers
