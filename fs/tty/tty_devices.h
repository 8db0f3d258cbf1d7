// The terminal devices: /dev/tty, /dev/console, /dev/ptmx and /dev/pts/N.
#pragma once

#include "fs/tty/terminal.h"

namespace fs::tty {

void register_tty_devices();
// The terminal behind /dev/console: the host's port, if it gave one (drivers/console_terminal.h). At boot.
void set_console(Ref<Terminal> console);
Ref<Terminal> console();
// An open file of a terminal as a program's side, for the first program's descriptors. ENOMEM.
Result<Ref<File>> open_terminal(Ref<Terminal> terminal, const OpenRequest& request);

}  // namespace fs::tty
