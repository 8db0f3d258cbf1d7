// Dispatch: from a number to a handler, and what is said about numbers that have none.
#include "libc-compat/syscall.h"

#include <atomic>

#include "arch/x86_64/entry.h"
#include "arch/x86_64/user_copy.h"
#include "arch/x86_64/user_state.h"
#include "core/log.h"
#include "libc-compat/families.h"
#include "libc-compat/trace.h"
#include "process/fault.h"
#include "process/signal_frame.h"

namespace abi {

namespace {

constexpr unsigned kTableSize = SYSTEM_CALL_TABLE_SIZE;

#define ISOUNIK_FAMILY_ADDRESS(name) &name,
constexpr const SystemCallFamily* kFamilies[] = {ISOUNIK_FAMILIES(ISOUNIK_FAMILY_ADDRESS)};
#undef ISOUNIK_FAMILY_ADDRESS

const SystemCall* table[kTableSize];
std::atomic<uint64_t> logged[kTableSize / 64];
std::atomic<bool> logged_past_end{false};
bool tracing = false;

// What Linux too enters with a full frame (arch/x86/entry/syscalls/syscall_64.tbl, the "ptregs" calls), as far as
// they exist here, and those that return to other registers.
constexpr bool needs_full_frame(uint64_t number) {
    constexpr uint64_t kSigReturn = 15, kClone = 56, kFork = 57, kVfork = 58, kExecve = 59, kExecveAt = 322,
                       kClone3 = 435;
    return number == kSigReturn || number == kClone || number == kFork || number == kVfork || number == kExecve ||
           number == kExecveAt || number == kClone3;
}

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
    } else if (logged_past_end.exchange(true, std::memory_order_relaxed)) {
        return;  // a program that tries them all would fill the log
    }
    std::string_view name = system_call_name(number);
    if (name.empty()) name = "no such call";
    constexpr std::string_view kText = "pid {} ({}): system call {} ({}) is not supported: ENOSYS";
    if (is_only_tried(number)) klog::info(kText, thread.process->pid, thread.name, number, name);
    else klog::warn(kText, thread.process->pid, thread.name, number, name);
}

}  // namespace

std::span<const SystemCallFamily* const> families() { return kFamilies; }

namespace {

const SystemCall* call_of(uint64_t number) { return number < kTableSize ? table[number] : nullptr; }

int64_t unknown_call(Context context) {
    log_unknown(context.thread, context.frame.error_or_syscall);
    return -static_cast<int64_t>(Errno::kNoSys);
}

int64_t traced_call(Context context) {
    const SystemCall& call = *table[context.frame.error_or_syscall];
    trace_entry(context, call);
    int64_t result = call.handler(context);
    trace_result(context, call, result);
    return result;
}

Handler handler_of(const SystemCall* call) { return !call ? unknown_call : tracing ? traced_call : call->handler; }

void set_entry(uint64_t number, const SystemCall* call) {
    bool full = needs_full_frame(number);
    isounik_system_call_table[number] = full ? reinterpret_cast<const void*>(isounik_full_frame_call)
                                             : reinterpret_cast<const void*>(handler_of(call));
    isounik_call_table[number] = full || !call || tracing ? reinterpret_cast<const void*>(isounik_call_by_frame)
                                                          : reinterpret_cast<const void*>(call->direct);
}

}  // namespace

int64_t detail::encode_error(process::Thread& thread, Errno error) {
    if (error >= Errno::kRestartSys) thread.exit_work.fetch_or(sched::kWorkRestart, std::memory_order_relaxed);
    return -static_cast<int64_t>(error);
}

void initialize_dispatch() {
    for (const SystemCallFamily* family : kFamilies) {
        for (const SystemCall& call : family->calls) {
            ASSERT(call.number < kTableSize);
            ASSERT(table[call.number] == nullptr);
            table[call.number] = &call;
        }
    }
    for (uint64_t number = 0; number < kTableSize; number++) set_entry(number, table[number]);
    set_entry(kTableSize, nullptr);
}

void set_tracing() {
    tracing = true;
    for (uint64_t number = 0; number < kTableSize; number++) set_entry(number, table[number]);
}

}  // namespace abi

extern "C" {

const void* isounik_system_call_table[SYSTEM_CALL_TABLE_SIZE + 1];
const void* isounik_call_table[SYSTEM_CALL_TABLE_SIZE + 1];

namespace {

// A call by the gate: it goes on at the return address, which is on the program's stack.
void complete_call_frame(process::Thread& thread, arch::TrapFrame& frame) {
    // What the call's handler did not note is what the kernel's stack held before.
    const abi::SystemCall* call = abi::call_of(frame.error_or_syscall);
    uint64_t* const arguments[] = {&frame.rdi, &frame.rsi, &frame.rdx, &frame.r10, &frame.r8, &frame.r9};
    for (unsigned i = call ? call->argument_count : 0; i < std::size(arguments); i++) *arguments[i] = 0;
    auto return_address = arch::copy_in(UserIn<uint64_t>(frame.rsp));
    // An address at which no program has anything: it faults there.
    frame.rip = return_address ? *return_address : 0;
    frame.rsp += sizeof(uint64_t);
    constexpr uint64_t kFlagTrap = 0x100;
    frame.rflags = thread.stepped_into_call ? kFlagTrap : 0;
    thread.stepped_into_call = false;
}

// What the stubs leave out: the registers that `syscall` overwrites, and safe selectors and flags.
process::Thread& complete_frame(arch::TrapFrame& frame) {
    process::Thread& thread = process::current_thread();
    thread.frame = &frame;
    thread.in_system_call = true;
    thread.by_call_gate = frame.rip == 0;
    if (thread.by_call_gate) complete_call_frame(thread, frame);
    frame.rcx = frame.rip;
    frame.r11 = frame.rflags;
    arch::sanitize_frame(frame, process::entry_ring(thread));
    return thread;
}

}  // namespace

void isounik_system_call_work(arch::TrapFrame* frame) {
    process::return_to_user(complete_frame(*frame), *frame);
}

void isounik_full_system_call(arch::TrapFrame* frame) {
    process::Thread& thread = complete_frame(*frame);
    abi::Handler handler = abi::handler_of(abi::call_of(frame->error_or_syscall));
    frame->rax = static_cast<uint64_t>(handler({thread, *frame}));
    process::return_to_user(thread, *frame);
}

}
