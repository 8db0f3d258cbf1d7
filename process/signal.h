// Signal state and sending (signal(7)). Frames for handlers are built in process/signal_frame.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/intrusive.h"
#include "core/result.h"
#include "core/types.h"

namespace process {

class Process;
class Thread;

inline constexpr int kSsOnStack = 1, kSsDisable = 2;
inline constexpr uint32_t kSsAutoDisarm = 1u << 31;
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
    constexpr SignalSet operator&(SignalSet other) const { return {bits & other.bits}; }
    constexpr SignalSet operator|(SignalSet other) const { return {bits | other.bits}; }
    constexpr SignalSet operator~() const { return {~bits}; }
    constexpr bool operator==(const SignalSet&) const = default;
};

// The part of siginfo_t that carries something, as Linux lays it out on x86-64 (include/uapi/asm-generic/siginfo.h);
// programs see 128 bytes (process/signal_info.h).
struct SignalInfo {
    int32_t signal = 0, error = 0, code = 0, padding = 0;
    union {
        struct { int32_t pid; uint32_t uid; int32_t status; int32_t pad; int64_t utime, stime; } child;
        struct { int32_t pid; uint32_t uid; uint64_t value; } sender;       // kill, sigqueue
        struct { int32_t timer_id, overrun; uint64_t value; } timer;
        struct { uint64_t address, address_lsb; uint32_t protection_key; } fault;
        uint64_t raw[4] = {};
    };
};
static_assert(sizeof(SignalInfo) == 48);

inline constexpr uint64_t kSaNoCldStop = 1, kSaNoCldWait = 2, kSaSigInfo = 4, kSaRestorer = 0x04000000,
    kSaOnStack = 0x08000000, kSaRestart = 0x10000000, kSaNoDefer = 0x40000000, kSaResetHand = 0x80000000;
inline constexpr uint64_t kSigDfl = 0, kSigIgn = 1;
inline constexpr SignalSet kUnblockable{1ull << (kSigKill - 1) | 1ull << (kSigStop - 1)};
inline constexpr SignalSet kStopSignals{1ull << (kSigStop - 1) | 1ull << (kSigTstp - 1) | 1ull << (kSigTtin - 1) |
                                        1ull << (kSigTtou - 1)};

inline constexpr int kSiUser = 0, kSiKernel = 0x80, kSiQueue = -1, kSiTimer = -2, kSiTkill = -6;

struct SignalAction {  // kernel_sigaction of rt_sigaction(2), x86-64
    uint64_t handler = 0;  // 0 SIG_DFL, 1 SIG_IGN
    uint64_t flags = 0;
    uint64_t restorer = 0;
    SignalSet mask;
    bool operator==(const SignalAction&) const = default;
};

// The actions of one process. Most are the default one: only the others are stored and copied.
class SignalActions {
  public:
    SignalActions() {}
    SignalActions(const SignalActions& other) { *this = other; }
    SignalActions& operator=(const SignalActions& other);

    const SignalAction& operator[](int signal) const {
        return changed_.has(signal) ? of_[static_cast<unsigned>(signal) - 1].action : kDefault;
    }
    void set(int signal, const SignalAction& action) {
        const uint64_t bit = SignalSet::of(signal).bits;
        ignored_.bits = (ignored_.bits & ~bit) | (action.handler == kSigIgn ? bit : 0);
        changed_.bits |= bit;
        of_[static_cast<unsigned>(signal) - 1].action = action;
    }
    // Flags and mask stay.
    void set_handler(int signal, uint64_t handler) {
        SignalAction action = (*this)[signal];
        action.handler = handler;
        set(signal, action);
    }
    // exec and CLONE_CLEAR_SIGHAND: what is ignored stays so, all else is the default (kernel/signal.c,
    // flush_signal_handlers()).
    void reset_handlers();

  private:
    static constexpr SignalAction kDefault{};
    union Slot {
        Slot() {}  // not zeroed
        SignalAction action;
    };
    SignalSet changed_, ignored_;  // the latter: by handler SIG_IGN, part of the former
    Slot of_[kSigMax];  // signal n at n - 1, valid if in changed_
};
struct SignalStack { uint64_t base = 0; int32_t flags = 2 /* SS_DISABLE */; int32_t padding = 0; uint64_t size = 0; };

// One pending signal's information, allocated by the sender or embedded in a timer.
struct QueuedSignal {
    QueuedSignal() = default;
    explicit QueuedSignal(const SignalInfo& information) : info(information) {}
    core::ListHook hook;
    SignalInfo info;
    // A timer's: not freed by the queue, and told when it is taken out (process/timers.h).
    void (*taken)(QueuedSignal& signal, SignalInfo& delivered) = nullptr;
};

// What waits for a thread or a process: at most one of each standard signal, all real-time ones in order of arrival
// (signal(7)). Owns its entries. Guarded by Process::signal_lock.
class PendingSignals {
  public:
    SignalSet set() const { return set_; }
    // Adds `signal`; `entry` may be null (no memory: delivered without information). Returns the entry if it is
    // not needed, because a standard signal is already pending: the caller frees it after unlocking.
    QueuedSignal* add(int signal, QueuedSignal* entry);
    // Takes the next signal in `wanted` (synchronous faults first, then the lowest number) into `info`; false if
    // none. The freed entry is returned through `entry` (may be null).
    bool take(SignalSet wanted, SignalInfo& info, QueuedSignal*& entry);
    // Drops what is pending in `which`. Entries go to `dropped`.
    using EntryList = core::List<QueuedSignal, &QueuedSignal::hook>;
    void drop(SignalSet which, EntryList& dropped);
    // Takes a timer's entry out of the queue, if it is in it.
    void remove(QueuedSignal& entry);
    size_t size() const { return entries_.size(); }
    ~PendingSignals();

  private:
    bool queued(int signal) const;
    SignalSet set_;
    EntryList entries_;
};
// Frees an entry that came out of a queue (null is fine; a timer's stays).
void free_entry(QueuedSignal* entry);
void free_entries(PendingSignals::EntryList& entries);

// Sends to a process (any thread that does not block it) or to one thread. Never sleeps. Without memory for
// the info, the signal is delivered without it. Locks taken: Rank::kSignal.
void send_signal(Process& process, const SignalInfo& info);
void send_signal(Thread& thread, const SignalInfo& info);
// Same for sigqueue(3) and timers: EAGAIN at RLIMIT_SIGPENDING or without memory.
Result<void> queue_signal(Process& process, const SignalInfo& info);
Result<void> queue_signal(Thread& thread, const SignalInfo& info);
// The fault of the running thread: cannot be blocked or ignored (a blocked one kills).
void force_signal(Thread& thread, const SignalInfo& info);
// To all members of a group; ESRCH if there are none. Locks taken: Rank::kProcessTree, Rank::kSignal.
Result<void> send_to_group(int process_group, const SignalInfo& info);
// True if an unblocked signal waits for the current thread: long copies and loops end early.
bool signal_pending();
SignalInfo simple_signal(int signal, int code = kSiKernel);

// Replaces the blocked set of the running thread (SIGKILL and SIGSTOP never block); looks again at what is pending.
void set_blocked(Thread& thread, SignalSet blocked);
// sigsuspend, ppoll, pselect6, epoll_pwait: blocks `mask` until the call returns to the program; the old mask comes
// back after a handler was set up, or at once if none runs.
void set_temporary_mask(Thread& thread, SignalSet mask);

}  // namespace process
