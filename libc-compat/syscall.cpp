// Dispatch: from a number to a handler, and what is said about numbers that have none.
#include "libc-compat/syscall.h"

#include <atomic>

#include "core/log.h"
#include "libc-compat/families.h"
#include "libc-compat/trace.h"
#include "process/fault.h"

namespace abi {

namespace {

constexpr unsigned kTableSize = 512;

#define ISOUNIK_FAMILY_ADDRESS(name) &name,
constexpr const SystemCallFamily* kFamilies[] = {ISOUNIK_FAMILIES(ISOUNIK_FAMILY_ADDRESS)};
#undef ISOUNIK_FAMILY_ADDRESS

const SystemCall* table[kTableSize];
std::atomic<uint64_t> logged[kTableSize / 64];
bool tracing = false;

// glibc tries these at the start of every program and does without: no word about them at the default level.
constexpr bool is_only_tried(uint64_t number) {
    constexpr uint64_t kRseq = 334;
    return number == kRseq;
}

// Once per number, as programs often try the same missing call again and again.
void log_unknown(const process::Thread& thread, uint64_t number) {
    if (number < kTableSize) {
        uint64_t bit = 1ull << (number % 64);
        if (logged[number / 64].fetch_or(bit, std::memory_order_relaxed) & bit) return;
    }
    std::string_view name = system_call_name(number);
    if (name.empty()) name = "no such call";
    constexpr std::string_view kText = "pid {} ({}): system call {} ({}) is not supported: ENOSYS";
    if (is_only_tried(number)) klog::info(kText, thread.process->pid, thread.name, number, name);
    else klog::warn(kText, thread.process->pid, thread.name, number, name);
}

}  // namespace

std::span<const SystemCallFamily* const> families() { return kFamilies; }

void initialize_dispatch() {
    for (const SystemCallFamily* family : kFamilies) {
        for (const SystemCall& call : family->calls) {
            ASSERT(call.number < kTableSize);
            ASSERT(table[call.number] == nullptr);
            table[call.number] = &call;
        }
    }
}

void set_tracing(bool enabled) { tracing = enabled; }

void dispatch(process::Thread& thread, arch::TrapFrame& frame) {
    thread.frame = &frame;
    thread.in_system_call = true;
    uint64_t number = frame.error_or_syscall;
    const SystemCall* call = number < kTableSize ? table[number] : nullptr;
    Context context{thread, frame};
    if (call) [[likely]] {
        if (tracing) [[unlikely]] trace_entry(context, *call);
        frame.rax = static_cast<uint64_t>(call->handler(context));
        if (tracing) [[unlikely]] trace_result(context, *call);
    } else {
        log_unknown(thread, number);
        frame.rax = static_cast<uint64_t>(-static_cast<int64_t>(Errno::kNoSys));
    }
    process::return_to_user(thread, frame);
}

}  // namespace abi
