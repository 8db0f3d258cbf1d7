// Per-processor data, at one fixed address through each processor's own top-level slot: neither FS nor GS.
#pragma once

#include <atomic>
#include <cstdint>

#include "arch/x86_64/asm_layout.h"
#include "arch/x86_64/layout.h"
#include "core/lock_order.h"

namespace sched { class Thread; }

namespace arch {

// One page, with the kernel's key. The first words are known to the entry stubs (asm_layout.h).
struct Processor {
    // Where entries from programs begin: 8 bytes below the top of the running thread's stack, so that a system call
    // begins with RSP's place in the frame.
    uint64_t entry_stack = 0;
    uint64_t scratch = 0;            // the entry stub's one word
    sched::Thread* current = nullptr;
    void (*exit_to_program)(void* frame) = nullptr;  // the full-restore exit stub of `model`
    // What the exit stubs load into PKRU for an isolated program; the kernel's key is closed in it. While a program
    // of another model runs, PKRU itself holds the program's value (pkru.h).
    uint32_t program_pkru = 0;
    // A program runs in ring 0. Set by the exit stubs before they close the kernel's key, cleared by the entry
    // stubs after they opened it: what tells program from kernel, and no program can write it.
    uint8_t in_program = 0;
    Model model = Model::kConfined;  // of the program whose tables were loaded last
    uint64_t entries[kModelCount] = {};  // entries from programs since the last fold (sched::Thread::entries)
    struct UserState* user_state = nullptr;  // of the running thread; null for kernel threads
    uint32_t number = 0;
    uint32_t apic_id = 0;
    uint32_t copy_pkru = 0;          // != 0: PKRU during the running user copy (user_copy.cpp)
    std::atomic<bool> need_resched{false};
    std::atomic<bool> flush_requested{false};  // tlb.cpp: the mailbox holds a request for this processor
    bool own_stacks_used = false;    // the stacks of NMI, #DB, #DF and #MC hold what programs may not see
    std::atomic<bool> online{false};
    uint64_t loaded_top_table = 0;
    uint64_t kernel_top_table = 0;
    void* step_page = nullptr;     // the page at EXPOSED_STEP, writable here
    uint64_t interrupt_count = 0;
    volatile uint64_t* armed_entry = nullptr;  // this processor's leaf entry of the armed page (armed.h)
    core::HeldLocks held_locks;  // debug builds
};
static_assert(__builtin_offsetof(Processor, entry_stack) == PROCESSOR_ENTRY_STACK);
static_assert(__builtin_offsetof(Processor, scratch) == PROCESSOR_SCRATCH);
static_assert(__builtin_offsetof(Processor, current) == PROCESSOR_CURRENT);
static_assert(__builtin_offsetof(Processor, exit_to_program) == PROCESSOR_EXIT);
static_assert(__builtin_offsetof(Processor, program_pkru) == PROCESSOR_PROGRAM_PKRU);
static_assert(__builtin_offsetof(Processor, in_program) == PROCESSOR_IN_PROGRAM);
static_assert(__builtin_offsetof(Processor, entries) == PROCESSOR_ENTRIES);
static_assert(PROCESSOR_BASE == kProcessorDataBase);
static_assert(KERNEL_KEY == kKernelKey && PKRU_KERNEL_CLOSED == 1 << 2 * kKernelKey);
static_assert(sizeof(Processor) <= 4096);

// SAFETY: every top-level table maps this processor's page here (mpk/exposed_slot.cpp).
inline Processor& processor() { return *reinterpret_cast<Processor*>(PROCESSOR_BASE); }
// Another processor's page, through the direct map. Null if there is none.
Processor* processor_of(unsigned cpu);
void set_processor_of(unsigned cpu, Processor* processor);

}  // namespace arch
