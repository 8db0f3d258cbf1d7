// Per-processor data, at one fixed address through each processor's own top-level slot: neither FS nor GS.
#pragma once

#include <atomic>
#include <cstdint>

#include "arch/x86_64/asm_layout.h"
#include "core/lock_order.h"

namespace sched { class Thread; }

namespace arch {

// One page, with the kernel's key. The first words are known to the entry stubs (asm_layout.h).
struct Processor {
    uint64_t kernel_stack_top = 0;   // of the running thread; where entries from programs begin
    uint64_t scratch = 0;            // the entry stub's one word
    sched::Thread* current = nullptr;
    struct UserState* user_state = nullptr;  // of the running thread; null for kernel threads
    uint32_t number = 0;
    uint32_t apic_id = 0;
    std::atomic<bool> need_resched{false};
    std::atomic<bool> flush_requested{false};  // tlb.cpp: the mailbox holds a request for this processor
    bool in_interrupt = false;
    std::atomic<bool> online{false};
    void (*exit_to_program)(void* frame) = nullptr;  // the full-restore exit stub of the running thread's model
    uint64_t loaded_top_table = 0;
    uint64_t kernel_top_table = 0;
    uint64_t interrupt_count = 0;
    core::HeldLocks held_locks;  // debug builds
};
static_assert(__builtin_offsetof(Processor, kernel_stack_top) == PROCESSOR_KERNEL_STACK);
static_assert(__builtin_offsetof(Processor, scratch) == PROCESSOR_SCRATCH);
static_assert(sizeof(Processor) <= 4096);

// SAFETY: every top-level table maps this processor's page here (mpk/exposed_slot.cpp).
inline Processor& processor() { return *reinterpret_cast<Processor*>(PROCESSOR_BASE); }
// Another processor's page, through the direct map. Null if there is none.
Processor* processor_of(unsigned cpu);
void set_processor_of(unsigned cpu, Processor* processor);

}  // namespace arch
