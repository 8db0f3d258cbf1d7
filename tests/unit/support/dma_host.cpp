// Host tests: a physical address is the pointer itself, so that a model of a device can follow it. Pages come from
// nothrow `new`, so that a test which makes allocations fail reaches these too.
#include <cstring>
#include <new>

#include "drivers/dma.h"

namespace drivers {

namespace {
// The start of the block that holds the page-aligned memory stands in the page before it.
void* new_pages(size_t size) {
    auto* block = new (std::nothrow) std::byte[size + 2 * kPageSize];
    if (!block) return nullptr;
    auto address = core::align_up(reinterpret_cast<uint64_t>(block) + sizeof(void*), kPageSize);
    auto* pages = reinterpret_cast<std::byte*>(address);
    std::memcpy(pages - sizeof(block), &block, sizeof(block));
    return std::memset(pages, 0, size);
}
void delete_pages(std::byte* pages) {
    if (!pages) return;
    std::byte* block;
    std::memcpy(&block, pages - sizeof(block), sizeof(block));
    delete[] block;
}
}  // namespace

Result<DmaMemory> DmaMemory::create(unsigned order) {
    DmaMemory memory;
    memory.data_ = static_cast<std::byte*>(new_pages(kPageSize << order));
    if (!memory.data_) return fail(Errno::kNoMem);
    memory.physical_ = PhysAddr(reinterpret_cast<uint64_t>(memory.data_));
    memory.order_ = order;
    return memory;
}

DmaMemory::~DmaMemory() { delete_pages(data_); }

}  // namespace drivers
