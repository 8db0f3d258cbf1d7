// Control registers, CPUID and ports as C++ functions; what is powerful is in armed.h. SDM vol. 2 and 4; nothing here has state.
#pragma once

#include <cstdint>

namespace arch {

struct CpuidResult { uint32_t eax, ebx, ecx, edx; };

// SAFETY (all below): single instructions on their operands; callers own the effect on the machine.
inline CpuidResult cpuid(uint32_t leaf, uint32_t subleaf = 0) {
    CpuidResult r;
    asm volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
    return r;
}

inline constexpr uint32_t kMsrApicBase = 0x1b, kMsrEfer = 0xc0000080, kMsrStar = 0xc0000081,
    kMsrLstar = 0xc0000082, kMsrSfmask = 0xc0000084, kMsrFsBase = 0xc0000100, kMsrGsBase = 0xc0000101,
    kMsrX2ApicBase = 0x800;

inline constexpr uint64_t kCr4FsGsBase = 1 << 16, kCr4Pcids = 1 << 17, kCr4ProtectionKeys = 1 << 22;

inline uint64_t read_cr2() { uint64_t v; asm volatile("mov %%cr2, %0" : "=r"(v)); return v; }
inline uint64_t read_cr3() { uint64_t v; asm volatile("mov %%cr3, %0" : "=r"(v)); return v; }
inline uint64_t read_cr4() { uint64_t v; asm volatile("mov %%cr4, %0" : "=r"(v)); return v; }
inline void invalidate_page(uint64_t address) { asm volatile("invlpg (%0)" : : "r"(address) : "memory"); }
// The same under a PCID that may not be the loaded one (INVPCID, type 0). For processors that have it.
inline void invalidate_page_of(uint64_t pcid, uint64_t address) {
    const uint64_t descriptor[2] = {pcid, address};
    asm volatile("invpcid %0, %1" : : "m"(descriptor), "r"(uint64_t{0}) : "memory");
}

inline uint64_t read_tsc() {
    uint32_t low, high;
    asm volatile("rdtsc" : "=a"(low), "=d"(high));
    return low | uint64_t{high} << 32;
}

inline void out8(uint16_t port, uint8_t value) { asm volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }
inline void out16(uint16_t port, uint16_t value) { asm volatile("outw %0, %1" : : "a"(value), "Nd"(port)); }
inline void out32(uint16_t port, uint32_t value) { asm volatile("outl %0, %1" : : "a"(value), "Nd"(port)); }
inline uint8_t in8(uint16_t port) { uint8_t v; asm volatile("inb %1, %0" : "=a"(v) : "Nd"(port)); return v; }
inline uint16_t in16(uint16_t port) { uint16_t v; asm volatile("inw %1, %0" : "=a"(v) : "Nd"(port)); return v; }
inline uint32_t in32(uint16_t port) { uint32_t v; asm volatile("inl %1, %0" : "=a"(v) : "Nd"(port)); return v; }

inline void cpu_pause() { asm volatile("pause"); }
inline void interrupts_on() { asm volatile("sti" : : : "memory"); }
inline void interrupts_off() { asm volatile("cli" : : : "memory"); }
// Sleeps until an interrupt and takes it; interrupts are off again afterwards. STI's shadow makes the pair
// atomic (SDM vol. 2, STI).
inline void wait_for_interrupt() { asm volatile("sti; hlt; cli" : : : "memory"); }
// Takes interrupts that are pending now.
inline void take_pending_interrupts() { asm volatile("sti; nop; cli" : : : "memory"); }

inline uint64_t read_fs_base() { uint64_t v; asm volatile("rdfsbase %0" : "=r"(v)); return v; }
inline uint64_t read_gs_base() { uint64_t v; asm volatile("rdgsbase %0" : "=r"(v)); return v; }
inline void write_fs_base(uint64_t v) { asm volatile("wrfsbase %0" : : "r"(v)); }
inline void write_gs_base(uint64_t v) { asm volatile("wrgsbase %0" : : "r"(v)); }

inline uint32_t read_pkru() {
    uint32_t value, edx;
    asm volatile("rdpkru" : "=a"(value), "=d"(edx) : "c"(0));
    return value;
}

}  // namespace arch
