#include "net/stack_lock.h"

#include "net/interface.h"
#include "net/lwip_headers.h"

namespace net {

namespace {
constinit core::Spinlock stack_lock{core::Rank::kNet};
}

bool stack_locked() { return stack_lock.is_locked(); }

StackLock::StackLock() : guard_(stack_lock) {}

StackLock::~StackLock() { settle(); }

void StackLock::settle() {
    // Packets to ourselves wait in a queue of each interface, so that tcp_input() is never entered from within
    // itself. Handling one may queue others: netif_poll() goes on until its queue is empty, and both interfaces
    // are asked again until neither has one.
    bool again;
    do {
        again = false;
        for (netif* interface = netif_list; interface; interface = interface->next) {
            if (!interface->loop_first) continue;
            netif_poll(interface);
            again = true;
        }
    } while (again);
    retry_transmissions();
}

sched::Wake StackLock::wait(sched::WaitQueue& queue, Nanoseconds deadline, bool exclusive) {
    // What we wait for may depend on packets still queued: deliver them first. That may already have brought it
    // about, before we are on the queue; so report a spurious wake-up if anything was delivered.
    bool delivered = false;
    for (netif* interface = netif_list; interface; interface = interface->next) {
        if (interface->loop_first) delivered = true;
    }
    if (delivered) {
        settle();
        return sched::Wake::kWoken;
    }
    return queue.wait(guard_, stack_lock, deadline, sched::Interruptible::kYes, exclusive);
}

}  // namespace net
