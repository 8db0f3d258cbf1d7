// Access to device registers: x86 ports and memory-mapped ones. The only file of drivers/ with inline assembly
// but the power-off of last resort.
#pragma once

#include <cstddef>
#include <cstdint>

namespace drivers {

// SAFETY: port I/O touches no memory that the compiler knows of; "memory" keeps DMA buffers ordered before it.
inline void out8(uint16_t port, uint8_t value) { asm volatile("outb %0, %1" ::"a"(value), "Nd"(port) : "memory"); }
inline void out16(uint16_t port, uint16_t value) {
    asm volatile("outw %0, %1" ::"a"(value), "Nd"(port) : "memory");
}
inline void out32(uint16_t port, uint32_t value) {
    asm volatile("outl %0, %1" ::"a"(value), "Nd"(port) : "memory");
}
inline uint8_t in8(uint16_t port) {
    uint8_t value;
    asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}
inline uint16_t in16(uint16_t port) {
    uint16_t value;
    asm volatile("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}
inline uint32_t in32(uint16_t port) {
    uint32_t value;
    asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}
// SAFETY: `pause` has no effect but time.
inline void cpu_relax() { asm volatile("pause" ::: "memory"); }

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
