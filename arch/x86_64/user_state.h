// What a program thread has besides its integer registers: FPU/SSE/AVX state, FS and GS base, its own PKRU.
//
// Held in the registers while the thread runs, in this record while it does not. The save area is XSAVE's
// standard format, sized by CPUID leaf 0xD for XCR0 = x87 | SSE | AVX | AVX-512 (no PKRU component: XRSTOR must
// never load PKRU; no AMX).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "arch/x86_64/pkru.h"
#include "core/memory.h"
#include "core/types.h"

namespace sched { class Thread; }

namespace arch {

struct TrapFrame;

struct UserState {
    std::byte* xsave_area = nullptr;  // 64-byte aligned, xsave_size() bytes
    uint64_t fs_base = 0;
    uint64_t gs_base = 0;
    uint32_t pkru = kInitialPkru;

    // The state of a fresh program (after exec). ENOMEM.
    static Result<std::unique_ptr<UserState>> create();
    // A copy of the *running* thread's state, registers included (fork, clone). ENOMEM.
    static Result<std::unique_ptr<UserState>> clone_current();
    // Puts the running thread into the state of a fresh program (exec).
    static void reset_current();
    ~UserState();
};

// Bytes of the XSAVE area for XCR0 as set at boot.
size_t xsave_size();
// Bytes that a signal frame needs for the FPU state: xsave_size() + 4 (FP_XSTATE_MAGIC2). The address is
// 64-byte aligned. Also what AT_MINSIGSTKSZ is computed from.
size_t signal_fpstate_size();
// Writes the running thread's FPU state to `destination` in the program's memory as Linux lays it out in a
// signal frame (fpstate with sw_reserved: magic1, extended_size, xfeatures, xstate_size; then magic2). EFAULT.
Result<void> save_signal_fpstate(UserAddr destination);
// Gives the running thread the FPU state of a fresh program, which signal handlers start with.
void reset_fpstate();
// Restores it from a signal frame. A null address resets to the initial state. Malformed: EINVAL (the caller
// kills the program with SIGSEGV); unknown or reserved bits never reach the hardware.
Result<void> restore_signal_fpstate(UserAddr source);

// Exceptions that the running thread's x87 or SSE unit has met and does not mask: the reason of an #MF or #XM (SDM
// vol. 1, 8.1.3 and 10.2.3).
enum FloatingPointException : uint32_t {
    kFpInvalid = 1 << 0, kFpDenormal = 1 << 1, kFpZeroDivide = 1 << 2, kFpOverflow = 1 << 3, kFpUnderflow = 1 << 4,
    kFpPrecision = 1 << 5, kFloatingPointExceptions = (1 << 6) - 1,
};
uint32_t raised_x87_exceptions();
uint32_t raised_sse_exceptions();

// FS and GS base of the running thread (arch_prctl, clone's CLONE_SETTLS for the child's record).
uint64_t fs_base();
uint64_t gs_base();
void set_fs_base(uint64_t base);
void set_gs_base(uint64_t base);

// Arranges that the first switch to `thread` leaves the kernel with `initial` as registers, through
// process::return_to_user(). Returns the frame at the top of its kernel stack.
TrapFrame* prepare_thread(sched::Thread& thread, const TrapFrame& initial);
// The registers of a new program: `entry` and `stack`, all else zero, segments and flags by the model.
enum class EntryRing : uint8_t { kRing3, kRing0 };
TrapFrame initial_frame(UserAddr entry, UserAddr stack, EntryRing ring);
// Forces segments and system flags of a frame that came from a program (sigreturn, ptrace) to safe values.
void sanitize_frame(TrapFrame& frame, EntryRing ring);
// The part of it for a frame whose other registers are safe: where a program goes on that is sent to `address`.
uint64_t canonical_instruction_pointer(uint64_t address);

// Hardware capability words for auxv, and the processor's name for /proc/cpuinfo.
uint64_t hwcap();
uint64_t hwcap2();
const char* processor_brand();

}  // namespace arch
