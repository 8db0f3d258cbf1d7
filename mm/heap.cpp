#include "mm/heap.h"

#include <bit>

#include "arch/x86_64/top_table.h"

namespace mm {

constexpr Heap::ClassTable Heap::kClassTable;

size_t Heap::usable_size(size_t size) {
    if (size <= kSizes[kClasses - 1]) return kSizes[class_of(size)];
    return std::bit_ceil(core::align_up(size, kPageSize));
}

// A slab's free objects are chained from Frame::free_objects of its first frame; Frame::index counts those in
// use (by callers or in a processor's cache).
Frame* Heap::make_slab(unsigned index) {
    unsigned order = slab_order(index);
    auto first = allocate_frames(order, Fill::kUninitialized, Frame::State::kKernel);
    if (!first) return nullptr;
    Frame* frame = &frame_of(*first);
    for (unsigned i = 0; i < (1u << order); i++) frame[i].flags = static_cast<uint16_t>(index + 1);
    std::byte* memory = static_cast<std::byte*>(to_pointer(*first));
    size_t size = kSizes[index], count = (kPageSize << order) / size;
    Object* list = nullptr;
    for (size_t i = count; i-- > 0;) {
        Object* object = reinterpret_cast<Object*>(memory + i * size);
        object->next = list;
        list = object;
    }
    frame->free_objects = list;
    frame->index = 0;
    frame->next = nullptr;
    return frame;
}

bool Heap::refill(unsigned index, Processor& processor) {
    Class& cls = classes_[index];
    core::SpinGuard guard(cls.lock);
    if (!cls.partial) {
        cls.partial = make_slab(index);
        if (!cls.partial) return false;
        cls.empty_slabs++;
    }
    for (unsigned i = 0; i < batch(index) && cls.partial; i++) {
        Frame* slab = cls.partial;
        if (slab->index == 0) cls.empty_slabs--;
        Object* object = static_cast<Object*>(slab->free_objects);
        slab->free_objects = object->next;
        slab->index++;
        if (!slab->free_objects) cls.partial = slab->next;
        object->next = processor.free[index];
        processor.free[index] = object;
        processor.count[index]++;
    }
    return true;
}

void Heap::give_back(unsigned index, Processor& processor, unsigned objects) {
    Class& cls = classes_[index];
    unsigned order = slab_order(index);
    core::SpinGuard guard(cls.lock);
    for (; objects > 0; objects--) {
        Object* object = processor.free[index];
        processor.free[index] = object->next;
        processor.count[index]--;
        Pfn first(core::align_down(Pfn(to_physical(object)).number(), uint64_t{1} << order));
        Frame* slab = &frame_of(first);
        if (!slab->free_objects) {
            slab->next = cls.partial;
            cls.partial = slab;
        }
        object->next = static_cast<Object*>(slab->free_objects);
        slab->free_objects = object;
        if (--slab->index == 0 && ++cls.empty_slabs > 1) {
            Frame** link = &cls.partial;
            while (*link != slab) link = &(*link)->next;
            *link = slab->next;
            cls.empty_slabs--;
            free_frames(first, order);
        }
    }
}

// The usual way has no call but for the processor's number, so that few registers are saved.
void* Heap::allocate(size_t size) {
    if (size > kSizes[kClasses - 1]) [[unlikely]] return allocate_large(size);
    const unsigned index = class_of(size);
    Processor& processor = processors_[arch::this_cpu()];
    if (!processor.free[index] || detail::failure_countdown.load(std::memory_order_relaxed) != 0) [[unlikely]] {
        return allocate_slowly(index);
    }
    return take(processor, index);
}

void* Heap::allocate_large(size_t size) {
    if (size > (kPageSize << kMaxOrder)) return nullptr;
    unsigned order = std::bit_width((size - 1) >> core::kPageShift);
    auto first = allocate_frames(order, Fill::kUninitialized, Frame::State::kKernel);
    if (!first) return nullptr;
    Frame& frame = frame_of(*first);
    frame.flags = kLarge;
    frame.order = static_cast<uint8_t>(order);
    return to_pointer(*first);
}

void* Heap::allocate_slowly(unsigned index) {
    if (allocation_must_fail()) return nullptr;
    Processor& processor = processors_[arch::this_cpu()];
    if (!processor.free[index] && !refill(index, processor)) return nullptr;
    return take(processor, index);
}

void* Heap::allocate_aligned(size_t size, size_t alignment) {
    if (alignment <= 16) return allocate(size);
    // Slabs start at page boundaries: objects of power-of-two classes are aligned to their size.
    return allocate(std::bit_ceil(size < alignment ? alignment : size));
}

void Heap::deallocate(void* pointer) {
    if (!pointer) return;
    Pfn pfn(to_physical(pointer));
    Frame& frame = frame_of(pfn);
    if (frame.flags == kLarge) return free_frames(pfn, frame.order);
    ASSERT(frame.state == Frame::State::kKernel && frame.flags != 0 && frame.flags <= kClasses);
    unsigned index = frame.flags - 1u;
    Processor& processor = processors_[arch::this_cpu()];
    Object* object = static_cast<Object*>(pointer);
    object->next = processor.free[index];
    processor.free[index] = object;
    if (++processor.count[index] > 3 * batch(index)) [[unlikely]] give_back(index, processor, 2 * batch(index));
}

void Heap::drain_this_processor() {
    Processor& processor = processors_[arch::this_cpu()];
    for (unsigned index = 0; index < kClasses; index++) {
        give_back(index, processor, processor.count[index]);
        Class& cls = classes_[index];
        core::SpinGuard guard(cls.lock);
        for (Frame** link = &cls.partial; *link;) {
            Frame* slab = *link;
            if (slab->index != 0) { link = &slab->next; continue; }
            *link = slab->next;
            cls.empty_slabs--;
            free_frames(pfn_of(*slab), slab_order(index));
        }
    }
}

}  // namespace mm
