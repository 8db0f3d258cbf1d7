// What /proc shows of processes (fs/proc/process_view.h).
#pragma once

namespace process {

// Once, before the first program.
void register_process_view();

}  // namespace process
