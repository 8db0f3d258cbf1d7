// The kernel half of every address space, by slots of the top-level table (512 GiB each), and the three
// privileges that decide who may touch it (docs/architecture.md).
//
//   256..383  direct map: all physical memory, and device registers below it
//   384       kernel stacks, with guard pages
//   509       this processor's kernel data, in the last page  (per processor, kernel's key)
//   510       this processor's exposed pages     (per processor, U/S = 0)
//   511       kernel image
//
// All leaf and middle entries of the kernel half say U/S = 1 and carry kKernelKey, none is global. U/S of the
// top-level entries is the model's: 1 for kIsolated, else 0; slot 510 always 0. The
// top-level entries are all made at boot and never change after.
#pragma once

#include <cstdint>

namespace arch {

inline constexpr uint64_t kDirectMapBase = 0xffff'8000'0000'0000;
inline constexpr uint64_t kKernelStacksBase = 0xffff'c000'0000'0000;
inline constexpr uint64_t kProcessorDataBase = 0xffff'feff'ffff'f000;
inline constexpr uint64_t kExposedBase = 0xffff'ff00'0000'0000;
inline constexpr uint64_t kKernelImageBase = 0xffff'ffff'8000'0000;

inline constexpr unsigned kFirstKernelSlot = 256;
inline constexpr unsigned kKernelStacksSlot = 384;
inline constexpr unsigned kProcessorSlot = 509;
inline constexpr unsigned kExposedSlot = 510;
inline constexpr unsigned kKernelImageSlot = 511;

inline constexpr unsigned kMaxCpus = 64;
inline constexpr uint64_t kKernelStackSize = 16 << 10;

// The protection key of the kernel's own pages (PKRU bits 30 and 31): KERNEL_KEY of asm_layout.h.
inline constexpr unsigned kKernelKey = 15;

// What a program runs as: in ring 3; in ring 0 with the kernel's key closed; in ring 0 with the kernel open.
enum class Model : uint8_t { kConfined, kIsolated, kNone };
inline constexpr unsigned kModelCount = 3;

// A bit of sched::Thread::exit_work: the thread's space may have another model than the one as which it entered.
inline constexpr uint8_t kExitWorkModel = 8;

}  // namespace arch
