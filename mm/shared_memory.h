// Shared anonymous memory: what mmap(MAP_SHARED | MAP_ANONYMOUS) maps, and /dev/zero mapped shared.
#pragma once

#include "mm/page_cache.h"

namespace mm {

// An object of `size` bytes, zero at first; its pages are made when touched. ENOMEM.
Result<core::Ref<Mappable>> create_shared_memory(uint64_t size);

}  // namespace mm
