#include "arch/x86_64/asm_layout.h"
#include "arch/x86_64/context_switch.h"
#include "arch/x86_64/entry.h"
#include "arch/x86_64/processor.h"
#include "arch/x86_64/user_state.h"
#include "mm/address_space.h"
#include "mm/kernel_stacks.h"
#include "sched/scheduler.h"
#include "sched/thread.h"

#include <cstring>

namespace sched {

namespace {

struct KernelEntry {
    void (*function)(void*);
    void* argument;
};

void kernel_thread_start(void* frame) {
    finish_switch();
    KernelEntry entry = *static_cast<KernelEntry*>(frame);
    entry.function(entry.argument);
    exit_current();
}

void program_thread_start(void* frame) {
    finish_switch();
    isounik_first_return(static_cast<arch::TrapFrame*>(frame));
}

// Lays out what arch_switch_stack() pops: six registers and the return address.
void begin_at_trampoline(Thread& thread, uint64_t* top, void (*function)(void*), void* argument) {
    *--top = reinterpret_cast<uint64_t>(&arch_thread_trampoline);
    *--top = reinterpret_cast<uint64_t>(function);  // rbx
    *--top = reinterpret_cast<uint64_t>(argument);  // rbp
    for (int i = 0; i < 4; i++) *--top = 0;          // r12 to r15
    thread.saved_stack_pointer = reinterpret_cast<uint64_t>(top);
}

char* stack_top(Thread& thread) { return static_cast<char*>(thread.kernel_stack) + arch::kKernelStackSize; }

}  // namespace

Result<core::Ref<Thread>> Thread::create_kernel(const char* name, void (*entry)(void*), void* argument) {
    auto thread = TRY(core::make_ref<Thread>());
    thread->kernel_stack = TRY(mm::allocate_kernel_stack());
    size_t length = std::strlen(name);
    if (length > sizeof(thread->name) - 1) length = sizeof(thread->name) - 1;
    std::memcpy(thread->name, name, length);
    thread->name[length] = '\0';
    auto saved = reinterpret_cast<KernelEntry*>(stack_top(*thread)) - 1;
    *saved = {entry, argument};
    begin_at_trampoline(*thread, reinterpret_cast<uint64_t*>(saved), kernel_thread_start, saved);
    return thread;
}

#pragma GCC diagnostic ignored "-Winvalid-offsetof"
static_assert(__builtin_offsetof(Thread, interrupt_pending) == THREAD_WORK);
static_assert(__builtin_offsetof(Thread, exit_work) == THREAD_WORK + 1);

Thread::Thread() = default;

Thread::~Thread() {
    if (kernel_stack) mm::free_kernel_stack(kernel_stack);
    delete user_state;
}

}  // namespace sched

namespace arch {

TrapFrame* prepare_thread(sched::Thread& thread, const TrapFrame& initial) {
    auto frame = reinterpret_cast<TrapFrame*>(sched::stack_top(thread)) - 1;
    *frame = initial;
    sched::begin_at_trampoline(thread, reinterpret_cast<uint64_t*>(frame), sched::program_thread_start, frame);
    return frame;
}

}  // namespace arch
