// The kernel heap: slabs of equal objects by size class, and whole frames for what is larger.
//
// A slab is one or two frames full of objects, without a header: what it is stands in its Frame records. Each
// processor keeps a few free objects of every class, which need no lock. Objects of a power-of-two class are
// aligned to their size, all others to 16 bytes or more.
#pragma once

#include <cstddef>
#include <cstdint>

#include "arch/x86_64/layout.h"
#include "core/lock.h"
#include "mm/frames.h"

namespace mm {

class Heap {
  public:
    Heap() = default;
    Heap(const Heap&) = delete;

    // At least `size` bytes, or null. Locks: Rank::kHeap, then Rank::kFrames.
    void* allocate(size_t size);
    // `alignment` is a power of two up to 4096.
    void* allocate_aligned(size_t size, size_t alignment);
    // Null is allowed.
    void deallocate(void* object);
    // What allocate(size) really gives.
    static size_t usable_size(size_t size);

    // Gives the free objects that this processor keeps back to the slabs, and free slabs to the frames.
    void drain_this_processor();

  private:
    static constexpr unsigned kClasses = 14;
    static constexpr uint16_t kSizes[kClasses] = {16,  32,  48,  64,  96,   128,  192,
                                                  256, 384, 512, 768, 1024, 1536, 2048};
    static constexpr uint16_t kLarge = 0xffff;  // Frame::flags of a large object; class + 1 of a slab
    struct Object { Object* next; };
    struct Class {
        core::Spinlock lock{core::Rank::kHeap};
        Frame* partial = nullptr;  // slabs with free objects
        unsigned empty_slabs = 0;  // of these, how many are wholly free
    };
    struct alignas(64) Processor {
        Object* free[kClasses] = {};
        uint16_t count[kClasses] = {};
    };

    // The class of a size up to the largest, for each 16 bytes.
    struct ClassTable {
        uint8_t of[kSizes[kClasses - 1] / 16 + 1] = {};
        constexpr ClassTable() {
            for (unsigned index = kClasses; index-- > 0;) {
                for (unsigned units = 0; units <= kSizes[index] / 16u; units++) of[units] = static_cast<uint8_t>(index);
            }
        }
    };
    static const ClassTable kClassTable;
    static unsigned class_of(size_t size) { return kClassTable.of[(size + 15) / 16]; }
    static unsigned slab_order(unsigned index) { return index >= 10 ? 1 : 0; }
    static unsigned batch(unsigned index) { return kSizes[index] <= 256 ? 16 : 4; }
    static Object* take(Processor& processor, unsigned index) {
        Object* object = processor.free[index];
        processor.free[index] = object->next;
        processor.count[index]--;
        return object;
    }
    void* allocate_large(size_t size);
    void* allocate_slowly(unsigned index);
    bool refill(unsigned index, Processor& processor);
    void give_back(unsigned index, Processor& processor, unsigned objects);
    Frame* make_slab(unsigned index);

    Class classes_[kClasses];
    Processor processors_[arch::kMaxCpus];
};

}  // namespace mm
