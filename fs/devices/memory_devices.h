// /dev/null, zero, full, random and urandom (null(4), full(4), random(4)).
#pragma once

namespace fs {

void register_memory_devices();

}  // namespace fs
