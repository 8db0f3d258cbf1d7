#include "net/timers.h"

#include "net/interface.h"
#include "net/lwip_headers.h"
#include "net/stack_lock.h"
#include "sched/timer.h"

namespace net {

namespace {

constexpr Nanoseconds kMillisecond = 1'000'000;
// Closed connections that only wait out stray segments. The oldest beyond it are forgotten: Linux bounds them too
// (tcp_max_tw_buckets), and lwIP searches them one by one.
constexpr unsigned kMaxTimeWait = 256;

struct Cycle {
    Nanoseconds interval;
    void (*run)();
    Nanoseconds due = core::kNever;  // kNever: not running
};

void forget_old_time_waits() {
    unsigned count = 0;
    tcp_pcb* pcb = tcp_tw_pcbs;  // newest first
    while (pcb) {
        tcp_pcb* next = pcb->next;
        if (++count > kMaxTimeWait) {
            tcp_pcb_remove(&tcp_tw_pcbs, pcb);
            tcp_free(pcb);
        }
        pcb = next;
    }
}

void run_tcp() {
    tcp_tmr();
    forget_old_time_waits();
}

constinit Cycle tcp_cycle{TCP_TMR_INTERVAL * kMillisecond, run_tcp};
constinit Cycle interface_cycles[] = {
    {IP_TMR_INTERVAL * kMillisecond, ip_reass_tmr},
    {ARP_TMR_INTERVAL * kMillisecond, etharp_tmr},
    {DHCP_COARSE_TIMER_MSECS * kMillisecond, dhcp_coarse_tmr},
    {DHCP_FINE_TIMER_MSECS * kMillisecond, dhcp_fine_tmr},
    {ND6_TMR_INTERVAL * kMillisecond, nd6_tmr},
    {IP6_REASS_TMR_INTERVAL * kMillisecond, ip6_reass_tmr},
};

class StackTimer final : public sched::Timer {
  public:
    void expire() override { run_timers(); }
};

StackTimer& stack_timer() {
    static StackTimer timer;
    return timer;
}

Nanoseconds earliest() {
    Nanoseconds due = tcp_cycle.due;
    for (const Cycle& cycle : interface_cycles) due = cycle.due < due ? cycle.due : due;
    return due;
}

void run_if_due(Cycle& cycle, Nanoseconds now) {
    if (cycle.due > now) return;
    cycle.run();
    // After a long pause the missed ticks are not made up for: the protocols count in ticks.
    cycle.due = cycle.due + cycle.interval > now ? cycle.due + cycle.interval : now + cycle.interval;
}

}  // namespace

void start_interface_timers() {
    Nanoseconds now = sched::monotonic_ns();
    for (Cycle& cycle : interface_cycles) cycle.due = now + cycle.interval;
    stack_timer().arm(earliest());
}

void run_timers() {
    StackLock lock;
    Nanoseconds now = sched::monotonic_ns();
    run_if_due(tcp_cycle, now);
    for (Cycle& cycle : interface_cycles) run_if_due(cycle, now);
    if (!tcp_active_pcbs && !tcp_tw_pcbs) tcp_cycle.due = core::kNever;
    if (Nanoseconds due = earliest(); due != core::kNever) stack_timer().arm(due);
}

}  // namespace net

extern "C" {

// lwIP calls it for each connection that becomes active.
void tcp_timer_needed() {
    using namespace net;
    if (tcp_cycle.due != core::kNever) return;
    tcp_cycle.due = sched::monotonic_ns() + tcp_cycle.interval;
    stack_timer().arm(earliest());
}

void sys_timeouts_init() {}

}  // extern "C"
