// Signal state and sending (signal(7)). Frames for handlers are built in process/signal_frame.h.
#pragma once

#include <cstdint>

#include "core/intrusive.h"
#include "core/result.h"
#include "core/types.h"

namespace process {

class Process;
class Thread;

inline constexpr int kSigHup = 1, kSigInt = 2, kSigQuit = 3, kSigIll = 4, kSigTrap = 5, kSigAbrt = 6, kSigBus = 7,
    kSigFpe = 8, kSigKill = 9, kSigUsr1 = 10, kSigSegv = 11, kSigUsr2 = 12, kSigPipe = 13, kSigAlrm = 14,
    kSigTerm = 15, kSigChld = 17, kSigCont = 18, kSigStop = 19, kSigTstp = 20, kSigTtin = 21, kSigTtou = 22,
    kSigUrg = 23, kSigXCpu = 24, kSigXFsz = 25, kSigVtAlrm = 26, kSigProf = 27, kSigWinch = 28, kSigIo = 29,
    kSigPwr = 30, kSigSys = 31, kSigRtMin = 32, kSigMax = 64;

// Bit n-1 is signal n, as in the system-call interface.
struct SignalSet {
    uint64_t bits = 0;
    static constexpr SignalSet of(int signal) { return {1ull << (signal - 1)}; }
    constexpr bool has(int signal) const { return bits >> (signal - 1) & 1; }
    constexpr void add(int signal) { bits |= 1ull << (signal - 1); }
    constexpr void remove(int signal) { bits &= ~(1ull << (signal - 1)); }
    constexpr bool empty() const { return bits == 0; }
};

// siginfo_t as Linux lays it out on x86-64: 128 bytes (include/uapi/asm-generic/siginfo.h).
struct SignalInfo {
    int32_t signal = 0, error = 0, code = 0, padding = 0;
    union {
        struct { int32_t pid; uint32_t uid; int32_t status; int32_t pad; int64_t utime, stime; } child;
        struct { int32_t pid; uint32_t uid; uint64_t value; } sender;       // kill, sigqueue
        struct { int32_t timer_id, overrun; uint64_t value; } timer;
        struct { uint64_t address; int16_t address_lsb; uint32_t protection_key; } fault;
        uint64_t raw[14] = {};
    };
};
static_assert(sizeof(SignalInfo) == 128);

inline constexpr int kSiUser = 0, kSiKernel = 0x80, kSiQueue = -1, kSiTimer = -2, kSiTkill = -6;

struct SignalAction {  // kernel_sigaction of rt_sigaction(2), x86-64
    uint64_t handler = 0;  // 0 SIG_DFL, 1 SIG_IGN
    uint64_t flags = 0;
    uint64_t restorer = 0;
    SignalSet mask;
};
struct SignalActions { SignalAction of[kSigMax]; };
struct SignalStack { uint64_t base = 0; int32_t flags = 2 /* SS_DISABLE */; int32_t padding = 0; uint64_t size = 0; };

// Pending set plus one SignalInfo per standard signal and a queue for real-time ones.
struct QueuedSignal;
struct PendingSignals {
    SignalSet set;
    QueuedSignal* first = nullptr;  // owned list in order of arrival
};

// Sends to a process (any thread that does not block it) or to one thread. Never sleeps. Without memory for
// the info, the signal is delivered without it.
void send_signal(Process& process, const SignalInfo& info);
void send_signal(Thread& thread, const SignalInfo& info);
// The fault of the running thread: cannot be blocked or ignored (a blocked one kills).
void force_signal(Thread& thread, const SignalInfo& info);
// kill(2)'s pid > 0, 0, -1, < -1; also used by the terminal for process groups.
Result<void> send_to_group(int process_group, const SignalInfo& info);
// True if an unblocked signal waits for the current thread: long copies and loops end early.
bool signal_pending();
SignalInfo simple_signal(int signal, int code = kSiKernel);

}  // namespace process
