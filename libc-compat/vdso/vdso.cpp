// The shared object that the kernel maps into every program (vdso(7)): clocks without entering the kernel, and the kernel
// by a call.
//
// Runs in the program, with the program's privilege. Compiled apart from the kernel (CMakeLists.txt here): position
// independent, no relocations, nothing but this file and the data page before it.
#include <cstdint>

#include "arch/x86_64/asm_layout.h"
#include "libc-compat/vdso/vdso_data.h"

#define TEXT_OF(x) #x
#define VALUE_OF(macro) TEXT_OF(macro)

// The data page: vdso.lds puts it right before the object.
extern "C" [[gnu::visibility("hidden")]] const abi::VdsoData vdso_data;

namespace {

constexpr uint64_t kNsPerSecond = 1'000'000'000;
constexpr long kSysClockGetTime = 228, kSysClockGetRes = 229;
constexpr int kClockRealtime = 0, kClockMonotonic = 1, kClockMonotonicRaw = 4, kClockRealtimeCoarse = 5,
              kClockMonotonicCoarse = 6, kClockBoottime = 7, kClockTai = 11;

struct Timespec { int64_t seconds, nanoseconds; };
struct Timeval { int64_t seconds, microseconds; };
struct Timezone { int32_t minutes_west, daylight; };

uint64_t monotonic_ns() {
    uint32_t low, high;
    // SAFETY: RDTSC after LFENCE reads the counter no earlier than its place in the program (SDM vol. 2, RDTSC).
    asm volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    uint64_t ticks = (uint64_t{high} << 32 | low) - vdso_data.tsc_base;
    return static_cast<uint64_t>(static_cast<unsigned __int128>(ticks) * vdso_data.multiplier >> 32) +
           vdso_data.offset_ns;
}

uint64_t realtime_ns() {
    return monotonic_ns() + __atomic_load_n(&vdso_data.realtime_offset_ns, __ATOMIC_RELAXED);
}

long enter_kernel(long number, long first, const void* second) {
    long result = number;
    // SAFETY: __isounik_call's convention, below.
    asm volatile("call __isounik_call"
                 : "+a"(result), "+D"(first), "+S"(second)
                 : : "rcx", "rdx", "r8", "r9", "r10", "r11", "memory", "cc");
    return result;
}

bool is_realtime(int clock) { return clock == kClockRealtime || clock == kClockRealtimeCoarse || clock == kClockTai; }
bool is_monotonic(int clock) {
    return clock == kClockMonotonic || clock == kClockMonotonicRaw || clock == kClockMonotonicCoarse ||
           clock == kClockBoottime;
}

}  // namespace

// __isounik_call: a system call as a function, in every model: registers as for `syscall`, kept what a C function keeps
// (rbx, rbp, r12 to r15, the stack; DF is 0). In ring 0 it goes through the call gate; programs that want no instruction
// more take the gate's own address from the auxiliary vector (AT_ISOUNIK_CALL).
asm(R"(
    .text
    .balign 16
    .globl __isounik_call
    .type __isounik_call, @function
__isounik_call:
    movl %cs, %ecx
    testb $3, %cl
    jnz 1f
    movabsq $)" VALUE_OF(EXPOSED_BASE) " + " VALUE_OF(EXPOSED_CALL_GATE) R"(, %rcx
    jmp *%rcx
1:  syscall
    ret
    .size __isounik_call, . - __isounik_call
)");

extern "C" {

[[gnu::visibility("default")]] int __vdso_clock_gettime(int clock, Timespec* time) {
    uint64_t now;
    if (is_realtime(clock)) now = realtime_ns();
    else if (is_monotonic(clock)) now = monotonic_ns();
    else return static_cast<int>(enter_kernel(kSysClockGetTime, clock, time));
    time->seconds = static_cast<int64_t>(now / kNsPerSecond);
    time->nanoseconds = static_cast<int64_t>(now % kNsPerSecond);
    return 0;
}

[[gnu::visibility("default")]] int __vdso_gettimeofday(Timeval* time, Timezone* zone) {
    if (time) {
        uint64_t now = realtime_ns();
        time->seconds = static_cast<int64_t>(now / kNsPerSecond);
        time->microseconds = static_cast<int64_t>(now % kNsPerSecond / 1000);
    }
    if (zone) *zone = {};
    return 0;
}

[[gnu::visibility("default")]] int64_t __vdso_time(int64_t* time) {
    auto seconds = static_cast<int64_t>(realtime_ns() / kNsPerSecond);
    if (time) *time = seconds;
    return seconds;
}

[[gnu::visibility("default")]] int __vdso_clock_getres(int clock, Timespec* resolution) {
    return static_cast<int>(enter_kernel(kSysClockGetRes, clock, resolution));
}

[[gnu::alias("__vdso_clock_gettime"), gnu::visibility("default")]] int clock_gettime(int clock, Timespec* time);
[[gnu::alias("__vdso_gettimeofday"), gnu::visibility("default")]] int gettimeofday(Timeval* time, Timezone* zone);
[[gnu::alias("__vdso_time"), gnu::visibility("default")]] int64_t time(int64_t* time);
[[gnu::alias("__vdso_clock_getres"), gnu::visibility("default")]] int clock_getres(int clock, Timespec* resolution);
}
