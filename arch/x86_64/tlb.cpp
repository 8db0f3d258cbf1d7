// TLB shootdown. Each processor has one request record that it fills as initiator; targets clear their bit.
//
// A target answers in the flush interrupt, at poll points, or while it spins for a lock. The initiator answers
// others while it waits, so that two initiators cannot block each other.
#include "arch/x86_64/tlb.h"

#include <atomic>

#include "arch/x86_64/apic.h"
#include "arch/x86_64/armed.h"
#include "arch/x86_64/interrupts.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/pcid.h"
#include "arch/x86_64/processor.h"
#include "arch/x86_64/registers.h"
#include "arch/x86_64/shootdown.h"
#include "core/lock.h"

namespace arch {

namespace {

constexpr uint64_t kMaxSinglePages = 32;

struct Mailbox {
    FlushRequest request;
    std::atomic<uint64_t> pending{0};
};
Mailbox mailboxes[kMaxCpus];

void flush_here(const FlushRequest& request) {
    if (uses_pcids()) pcids().note(request);
    // Bit 63 of what is read is 0: the load flushes what is cached under the loaded PCID.
    if (request.everything || request.pages() > kMaxSinglePages) return write_cr3(read_cr3());
    for (uint64_t at = request.start; at < request.end; at += core::kPageSize) invalidate_page(at);
}

// sched::Thread is above this room: the stubs' offset of its work word (asm_layout.h) serves here too.
void add_exit_work(uint8_t work) {
    auto thread = reinterpret_cast<uint8_t*>(processor().current);
    __atomic_fetch_or(thread + THREAD_WORK + 1, work, __ATOMIC_RELAXED);
}

}  // namespace

void answer_flush_requests() {
    Processor& self = processor();
    if (!self.flush_requested.exchange(false, std::memory_order_acquire)) return;
    uint64_t my_bit = uint64_t{1} << self.number;
    for (Mailbox& mailbox : mailboxes) {
        if (!(mailbox.pending.load(std::memory_order_acquire) & my_bit)) continue;
        flush_here(mailbox.request);
        if (mailbox.request.exit_work) add_exit_work(mailbox.request.exit_work);
        mailbox.pending.fetch_and(~my_bit, std::memory_order_release);
    }
}

void flush(const FlushRequest& request) {
    unsigned self = processor().number;
    uint64_t my_bit = uint64_t{1} << self;
    if (request.cpus & my_bit) flush_here(request);
    uint64_t others = request.cpus & ~my_bit;
    for (uint64_t rest = others; rest; rest &= rest - 1) {  // "all" includes processors that do not run (yet)
        const Processor* other = processor_of(static_cast<unsigned>(__builtin_ctzll(rest)));
        if (!other || !other->online.load(std::memory_order_acquire)) others &= ~(rest & -rest);
    }
    if (!others) return;
    Mailbox& mailbox = mailboxes[self];
    mailbox.request = request;
    mailbox.pending.store(others, std::memory_order_release);
    for (uint64_t rest = others; rest; rest &= rest - 1) {
        auto cpu = static_cast<unsigned>(__builtin_ctzll(rest));
        processor_of(cpu)->flush_requested.store(true, std::memory_order_release);
        send_ipi(apic_id_of(cpu), kVectorFlush);
    }
    while (mailbox.pending.load(std::memory_order_acquire)) core::spin_wait();
}

}  // namespace arch

namespace core {

void spin_wait() {
    arch::cpu_pause();
    arch::answer_flush_requests();
}

}  // namespace core
