#include "fs/events/signalfd.h"

#include <cstring>

#include "core/log.h"
#include "fs/events/thread_waiter.h"
#include "fs/process_host.h"

namespace fs {

const char SignalFd::kKind[] = "signalfd";

namespace {

constexpr uint64_t kNeverTaken = 1ull << (9 - 1) | 1ull << (19 - 1);  // SIGKILL, SIGSTOP

core::Spinlock files_lock{core::Rank::kSignalFiles};
std::atomic<unsigned> file_count{0};
using SignalFiles = core::List<SignalFd, &SignalFd::hook>;
SignalFiles& files() {
    static SignalFiles list;
    return list;
}

// struct signalfd_siginfo, 128 bytes.
struct Record {
    uint32_t signal;
    int32_t error, code;
    uint32_t pid, uid;
    int32_t fd;
    uint32_t timer_id, band, overrun, trap;
    int32_t status, value_int;
    uint64_t value_pointer, utime, stime, address;
    uint16_t address_lsb, padding;
    int32_t system_call;
    uint64_t call_address;
    uint32_t architecture;
    uint8_t rest[28];
};
static_assert(sizeof(Record) == 128);

// From a siginfo_t (include/uapi/asm-generic/siginfo.h): three ints, padding, then the union at byte 16.
Record convert(const void* info) {
    const auto* bytes = static_cast<const std::byte*>(info);
    auto read32 = [&](size_t at) { uint32_t v; std::memcpy(&v, bytes + at, 4); return v; };
    auto read64 = [&](size_t at) { uint64_t v; std::memcpy(&v, bytes + at, 8); return v; };
    Record record{};
    record.signal = read32(0);
    record.error = static_cast<int32_t>(read32(4));
    record.code = static_cast<int32_t>(read32(8));
    constexpr int kSiTimer = -2, kSiQueue = -1, kSiKernel = 0x80;
    if (record.code == kSiTimer) {
        record.timer_id = read32(16);
        record.overrun = read32(20);
        record.value_int = static_cast<int32_t>(read32(24));
        record.value_pointer = read64(24);
    } else if (record.code > 0 && record.code < kSiKernel &&
               (record.signal == 11 || record.signal == 7 || record.signal == 8 || record.signal == 4 || record.signal == 5)) {
        record.address = read64(16);
    } else {
        record.pid = read32(16);
        record.uid = read32(20);
        if (record.signal == 17 && record.code > 0) {  // SIGCHLD
            record.status = static_cast<int32_t>(read32(24));
            record.utime = read64(32);
            record.stime = read64(40);
        } else if (record.code == kSiQueue || record.code < 0) {
            record.value_int = static_cast<int32_t>(read32(24));
            record.value_pointer = read64(24);
        }
    }
    return record;
}

}  // namespace

SignalFd::SignalFd(uint64_t signals, uint32_t flags)
    : AnonymousFile(flags | kORdWr, "[signalfd]"), signals_(signals & ~kNeverTaken) {
    core::SpinGuard guard(files_lock);
    files().push_back(*this);
    file_count.fetch_add(1);
}

SignalFd::~SignalFd() {
    core::SpinGuard guard(files_lock);
    hook.unlink();
    file_count.fetch_sub(1);
}

void SignalFd::set_signals(uint64_t signals) {
    signals_.store(signals & ~kNeverTaken);
    readers_.wake_all();
}

void SignalFd::signal_arrived(int signal) {
    if (signals_.load() >> (signal - 1) & 1) readers_.wake_all(kPollIn);
}

void signal_became_pending(int signal) {
    if (file_count.load() == 0) return;
    core::SpinGuard guard(files_lock);
    for (SignalFd& file : files()) file.signal_arrived(signal);
}

Result<size_t> SignalFd::read(Destination& destination, uint64_t*) {
    if (destination.remaining() < sizeof(Record)) return fail(Errno::kInval);
    size_t moved = 0;
    while (destination.remaining() >= sizeof(Record)) {
        alignas(8) std::byte info[48];
        if (process_host().take_signal(signals_.load(), info)) {
            Record record = convert(info);
            if (auto put = destination.put(&record, sizeof record); !put) {
                if (moved > 0) return moved;
                return fail(put.error());
            }
            moved += sizeof record;
            continue;
        }
        if (moved > 0) return moved;
        if (non_blocking()) return fail(Errno::kAgain);
        ThreadWaiter waiter;
        sched::prepare_sleep(sched::Interruptible::kYes);
        readers_.add(waiter);
        sched::Wake outcome = sched::Wake::kWoken;
        if (process_host().pending_signals() & signals_.load()) sched::cancel_sleep();
        else outcome = sched::sleep();
        readers_.remove(waiter);
        if (outcome == sched::Wake::kInterrupted && !(process_host().pending_signals() & signals_.load())) {
            return fail(Errno::kRestartSys);
        }
    }
    return moved;
}

uint32_t SignalFd::poll(PollRegistrar* registrar) {
    if (registrar) registrar->watch(readers_);
    return process_host().pending_signals() & signals_.load() ? kPollIn : 0;
}

Result<void> SignalFd::append_info(core::String& text) {
    char digits[17] = {};
    uint64_t signals = signals_.load();
    for (int i = 0; i < 16; i++) digits[i] = "0123456789abcdef"[signals >> (60 - 4 * i) & 15];
    TRY(text.append("sigmask:\t"));
    TRY(text.append(digits));
    return text.append("\n");
}

}  // namespace fs
