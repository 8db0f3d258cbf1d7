// operator new and delete of the kernel: only the forms that can fail. A throwing `new` does not link.
#include <new>

#include "mm/heap.h"

namespace mm {
namespace {
constinit Heap g_heap;
}

void drain_kernel_heap() { g_heap.drain_this_processor(); }
}  // namespace mm

void* operator new(size_t size, const std::nothrow_t&) noexcept { return mm::g_heap.allocate(size); }
void* operator new[](size_t size, const std::nothrow_t&) noexcept { return mm::g_heap.allocate(size); }
void* operator new(size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
    return mm::g_heap.allocate_aligned(size, static_cast<size_t>(alignment));
}
void* operator new[](size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
    return mm::g_heap.allocate_aligned(size, static_cast<size_t>(alignment));
}
void operator delete(void* object) noexcept { mm::g_heap.deallocate(object); }
void operator delete[](void* object) noexcept { mm::g_heap.deallocate(object); }
void operator delete(void* object, size_t) noexcept { mm::g_heap.deallocate(object); }
void operator delete[](void* object, size_t) noexcept { mm::g_heap.deallocate(object); }
void operator delete(void* object, const std::nothrow_t&) noexcept { mm::g_heap.deallocate(object); }
void operator delete[](void* object, const std::nothrow_t&) noexcept { mm::g_heap.deallocate(object); }
void operator delete(void* object, std::align_val_t) noexcept { mm::g_heap.deallocate(object); }
void operator delete[](void* object, std::align_val_t) noexcept { mm::g_heap.deallocate(object); }
void operator delete(void* object, size_t, std::align_val_t) noexcept { mm::g_heap.deallocate(object); }
void operator delete[](void* object, size_t, std::align_val_t) noexcept { mm::g_heap.deallocate(object); }
