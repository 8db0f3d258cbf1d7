// Access to device registers: x86 ports (arch/x86_64/registers.h) and memory-mapped ones.
#pragma once

#include <cstddef>
#include <cstdint>

#include "arch/x86_64/registers.h"

namespace drivers {

using arch::in16, arch::in32, arch::in8, arch::out16, arch::out32, arch::out8;
inline void cpu_relax() { arch::cpu_pause(); }

// A window of memory-mapped registers. Accesses have exactly the width that is asked for.
class Registers {
  public:
    Registers() = default;
    explicit Registers(volatile void* base) : base_(static_cast<volatile std::byte*>(base)) {}
    explicit operator bool() const { return base_ != nullptr; }

    // SAFETY: the window was mapped uncached for at least the device's register block, and offsets are constants
    // of the register layout or checked against the window's size by the caller.
    template <typename T>
    T read(size_t offset) const { return *reinterpret_cast<volatile T*>(base_ + offset); }
    template <typename T>
    void write(size_t offset, T value) const { *reinterpret_cast<volatile T*>(base_ + offset) = value; }

  private:
    volatile std::byte* base_ = nullptr;
};

}  // namespace drivers
