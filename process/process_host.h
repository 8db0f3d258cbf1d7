// What open files and terminals ask of processes (fs/process_host.h).
#pragma once

namespace process {

// Once, before the first program.
void register_process_host();

}  // namespace process
