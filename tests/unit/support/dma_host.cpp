// Host tests: a physical address is the pointer itself, so that a model of a device can follow it.
#include <cstdlib>
#include <cstring>

#include "drivers/dma.h"

namespace drivers {

Result<DmaMemory> DmaMemory::create(unsigned order) {
    DmaMemory memory;
    size_t size = kPageSize << order;
    memory.data_ = static_cast<std::byte*>(std::aligned_alloc(kPageSize, size));
    if (!memory.data_) return fail(Errno::kNoMem);
    std::memset(memory.data_, 0, size);
    memory.physical_ = PhysAddr(reinterpret_cast<uint64_t>(memory.data_));
    memory.order_ = order;
    return memory;
}

DmaMemory::~DmaMemory() { std::free(data_); }

}  // namespace drivers
