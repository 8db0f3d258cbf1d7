// The host's terminal: /dev/console over the port isounik.tty.
#pragma once

#include "drivers/devices.h"
#include "fs/tty/terminal.h"

namespace drivers {

// Makes `port` the console terminal (fs/tty/tty_devices.h) and returns it. ENOMEM.
Result<Ref<fs::tty::Terminal>> start_console(Port& port);

}  // namespace drivers
