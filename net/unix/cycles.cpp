#include "net/unix/cycles.h"

#include "net/unix/unix_socket.h"

namespace net {

namespace {

struct Collector {
    core::Spinlock lock{core::Rank::kFile};  // before any endpoint's
    // Endpoints in whose queues sockets wait, or did so when we last looked.
    core::List<UnixEndpoint, &UnixEndpoint::carrier_hook> carriers;
    std::atomic<bool> has_carriers{false};
    bool running = false, requested = false;
};
Collector& collector() {
    static Collector collector;
    return collector;
}

struct Disposal {
    core::Spinlock lock{core::Rank::kPipe};
    UnixMessageList waiting;
    std::atomic<bool> running{false};
    std::atomic<bool> collect_after{false};
};
Disposal& disposal() {
    static Disposal disposal;
    return disposal;
}

UnixEndpoint* endpoint_of(const Ref<fs::File>& file) {
    if (!file || file->kind() != Socket::kKind) return nullptr;
    auto* socket = static_cast<Socket*>(file.get());
    return socket->family() == kAfUnix ? &static_cast<UnixSocket*>(socket)->endpoint() : nullptr;
}

using Nodes = core::List<UnixEndpoint, &UnixEndpoint::node_hook>;

// Calls `visit(endpoint, file)` for each socket in the queue of `carrier`.
template <typename Visit>
void for_each_carried(UnixEndpoint& carrier, Visit visit) {
    core::SpinGuard guard(carrier.lock);
    for (UnixMessage& message : carrier.messages) {
        for (const Ref<fs::File>& file : message.files) {
            if (UnixEndpoint* endpoint = endpoint_of(file)) visit(*endpoint, *file);
        }
    }
}

// One reference of each node is ours.
bool only_in_flight(const UnixEndpoint& node) { return node.found == node.in_flight_file->reference_count() - 1; }

// 1. Nodes: sockets in flight, with how often each was found in a queue.
void find_nodes(Collector& all, Nodes& nodes) {
    for (auto it = all.carriers.begin(); it != all.carriers.end();) {
        UnixEndpoint& carrier = *it;
        bool carries = false;
        for_each_carried(carrier, [&](UnixEndpoint& endpoint, fs::File& file) {
            carries = true;
            if (!endpoint.node_hook.is_linked()) {
                file.ref();
                endpoint.in_flight_file = &file;
                endpoint.found = 0;
                endpoint.marked = false;
                nodes.push_back(endpoint);
            }
            endpoint.found++;
        });
        if (carries) ++it;
        else it = all.carriers.erase(it);
    }
    all.has_carriers = !all.carriers.empty();
}

// 2. Moves what can be reached from `nodes` to `reached`: nodes that somebody else holds, what carriers that are not in
// flight carry, and what those carry in turn.
void find_reachable(Collector& all, Nodes& nodes, Nodes& reached) {
    auto reach = [&](UnixEndpoint& node) {
        node.marked = true;
        node.node_hook.unlink();
        reached.push_back(node);
    };
    auto reach_carried = [&](UnixEndpoint& carrier) {
        for_each_carried(carrier, [&](UnixEndpoint& endpoint, fs::File&) {
            if (endpoint.node_hook.is_linked() && !endpoint.marked) reach(endpoint);
        });
    };
    for (UnixEndpoint& carrier : all.carriers) {
        if (!carrier.node_hook.is_linked()) reach_carried(carrier);
    }
    for (auto it = nodes.begin(); it != nodes.end();) {
        UnixEndpoint& node = *it++;
        if (!only_in_flight(node)) reach(node);
    }
    for (UnixEndpoint& node : reached) reach_carried(node);  // which grows at its end meanwhile
}

// 3. Looks again: every reference to an unreached node must still wait in the queue of an unreached one. (A node may
// have been received meanwhile, and its carrier closed.)
bool confirm(Nodes& nodes) {
    for (UnixEndpoint& node : nodes) node.found = 0;
    for (UnixEndpoint& node : nodes) {
        for_each_carried(node, [](UnixEndpoint& endpoint, fs::File&) {
            if (endpoint.node_hook.is_linked() && !endpoint.marked) endpoint.found++;
        });
    }
    for (UnixEndpoint& node : nodes) {
        if (!only_in_flight(node)) return false;
    }
    return true;
}

void drop_references(Nodes& nodes) {
    while (!nodes.empty()) {
        fs::File* file = nodes.front().in_flight_file;
        nodes.pop_front();
        file->unref();
    }
}

}  // namespace

bool carries_sockets(const UnixMessage& message) {
    for (const Ref<fs::File>& file : message.files) {
        if (endpoint_of(file)) return true;
    }
    return false;
}

void note_carrier(UnixEndpoint& endpoint) {
    Collector& all = collector();
    core::SpinGuard guard(all.lock);
    if (!endpoint.carrier_hook.is_linked()) all.carriers.push_back(endpoint);
    endpoint.ever_carrier = true;
    all.has_carriers = true;
}

void forget_carrier(UnixEndpoint& endpoint) {
    if (!endpoint.ever_carrier) return;
    core::SpinGuard guard(collector().lock);
    endpoint.carrier_hook.unlink();
}

void collect_unix_cycles() {
    Collector& all = collector();
    if (!all.has_carriers.load(std::memory_order_relaxed)) return;
    if (disposal().running) {  // once at its end, not for each socket that it destroys
        disposal().collect_after = true;
        if (disposal().running) return;
    }
    core::SpinGuard guard(all.lock);
    all.requested = true;
    if (all.running) return;  // by a caller further out, or on another processor: it looks again
    all.running = true;
    while (all.requested) {
        all.requested = false;
        Nodes nodes, reached;
        UnixMessageList garbage;
        find_nodes(all, nodes);
        find_reachable(all, nodes, reached);
        if (confirm(nodes)) {
            for (UnixEndpoint& node : nodes) {
                core::SpinGuard node_guard(node.lock);
                garbage.splice(garbage.end(), node.messages);
                node.message_count = 0;
                node.queued_bytes = 0;
            }
        }
        // Without the lock: dropping references destroys sockets, which come here again.
        guard.unlock();
        drop_references(reached);
        drop_references(nodes);
        dispose(garbage);
        guard.relock(all.lock);
    }
    all.running = false;
}

void dispose(UnixMessage* message) {
    if (!message) return;
    if (message->files.empty()) return UnixMessage::destroy(message);
    UnixMessageList one;
    one.push_back(*message);
    dispose(one);
}

void dispose(UnixMessageList& messages) {
    if (messages.empty()) return;
    Disposal& all = disposal();
    core::SpinGuard guard(all.lock);
    all.waiting.splice(all.waiting.end(), messages);
    if (all.running) return;  // by a caller further out, or on another processor
    all.running = true;
    while (!all.waiting.empty()) {
        UnixMessage* message = &all.waiting.front();
        all.waiting.pop_front();
        guard.unlock();
        UnixMessage::destroy(message);
        guard.relock(all.lock);
    }
    all.running = false;
    guard.unlock();
    if (all.collect_after.exchange(false)) collect_unix_cycles();
}

}  // namespace net
