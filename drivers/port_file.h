// The standard streams of the first program: files over the host's ports isounik.stdin, stdout and stderr. To the
// program they look like pipes whose other end the host holds.
#pragma once

#include "drivers/devices.h"
#include "fs/file.h"

namespace drivers {

enum class PortDirection : bool { kFromHost, kToHost };

// ENOMEM. Reads see end of file when the host closes; writes wait for room, and raise EPIPE with SIGPIPE once the
// host has closed.
Result<Ref<fs::File>> open_port(Port& port, PortDirection direction);

}  // namespace drivers
