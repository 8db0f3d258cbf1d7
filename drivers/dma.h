// Memory that devices read and write: whole pages, physically contiguous.
#pragma once

#include <cstddef>
#include <utility>

#include "core/result.h"
#include "core/types.h"
#include "core/vector.h"

namespace drivers {

class DmaMemory {
  public:
    DmaMemory() = default;
    // 2^order zeroed pages. ENOMEM.
    static Result<DmaMemory> create(unsigned order);
    DmaMemory(DmaMemory&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), physical_(other.physical_), order_(other.order_) {}
    DmaMemory& operator=(DmaMemory&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(physical_, other.physical_);
        std::swap(order_, other.order_);
        return *this;
    }
    ~DmaMemory();  // the device must have been reset, or never have been told

    std::byte* data() const { return data_; }
    PhysAddr physical() const { return physical_; }
    size_t size() const { return data_ ? kPageSize << order_ : 0; }

  private:
    std::byte* data_ = nullptr;
    PhysAddr physical_;
    unsigned order_ = 0;
};

// Cuts small pieces from pages; all are freed together.
class DmaArena {
  public:
    struct Piece {
        std::byte* data = nullptr;
        PhysAddr physical;
    };
    // Zeroed, 64-byte aligned, physically contiguous. ENOMEM.
    Result<Piece> take(size_t size) {
        size = core::align_up(size, 64);
        if (blocks_.empty() || size > blocks_.back().size() - used_) {
            unsigned order = 0;
            while ((kPageSize << order) < size) order++;
            TRY(blocks_.push_back(TRY(DmaMemory::create(order))));
            used_ = 0;
        }
        Piece piece{blocks_.back().data() + used_, blocks_.back().physical() + used_};
        used_ += size;
        return piece;
    }

  private:
    core::Vector<DmaMemory> blocks_;
    size_t used_ = 0;
};

}  // namespace drivers
