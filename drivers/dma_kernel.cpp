#include "drivers/dma.h"
#include "mm/frames.h"

namespace drivers {

Result<DmaMemory> DmaMemory::create(unsigned order) {
    Pfn first = TRY(mm::allocate_frames(order, mm::Fill::kZeroed, mm::Frame::State::kKernel));
    DmaMemory memory;
    memory.data_ = static_cast<std::byte*>(mm::to_pointer(first));
    memory.physical_ = first.address();
    memory.order_ = order;
    return memory;
}

DmaMemory::~DmaMemory() {
    if (data_) mm::free_frames(Pfn(physical_), order_);
}

}  // namespace drivers
