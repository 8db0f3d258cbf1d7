#include "sched/run_queue.h"

#include <array>

namespace sched {

namespace {

// 1024 / 1.25^nice, rounded.
constexpr std::array<uint32_t, 40> make_weights() {
    std::array<uint32_t, 40> weights{};
    for (int nice = -20; nice < 20; nice++) {
        double weight = 1024;
        for (int i = 0; i < nice; i++) weight /= 1.25;
        for (int i = 0; i > nice; i--) weight *= 1.25;
        weights[static_cast<size_t>(nice + 20)] = static_cast<uint32_t>(weight + 0.5);
    }
    return weights;
}
constexpr auto kWeights = make_weights();

bool before(uint64_t a, uint64_t b) { return static_cast<int64_t>(a - b) < 0; }

}  // namespace

uint32_t weight_of(int nice) { return kWeights[static_cast<size_t>(nice + 20)]; }

void RunQueue::enqueue(Thread& thread, Reason reason) {
    uint64_t floor = reason == Reason::kWoken ? minimum_ - kSliceNs / 2 : minimum_;
    if (reason != Reason::kPreempted && before(thread.virtual_runtime, floor)) thread.virtual_runtime = floor;
    // A clock far ahead comes from another processor's queue: join this one's time.
    if (reason != Reason::kPreempted && before(minimum_ + 10 * kSliceNs, thread.virtual_runtime)) {
        thread.virtual_runtime = minimum_;
    }
    tree_.insert(thread);
    size_++;
}

void RunQueue::dequeue(Thread& thread) {
    tree_.erase(tree_.iterator_to(thread));
    size_--;
}

Thread* RunQueue::pick() {
    if (tree_.empty()) return nullptr;
    Thread& thread = *tree_.begin();
    dequeue(thread);
    if (before(minimum_, thread.virtual_runtime)) minimum_ = thread.virtual_runtime;
    return &thread;
}

Thread* RunQueue::steal_for(unsigned cpu) {
    for (auto it = tree_.rbegin(); it != tree_.rend(); ++it) {
        if (it->affinity >> cpu & 1) {
            Thread& thread = *it;
            dequeue(thread);
            return &thread;
        }
    }
    return nullptr;
}

void RunQueue::charge(Thread& thread, Nanoseconds ran_ns) {
    thread.virtual_runtime += ran_ns * 1024 / weight_of(thread.nice);
    uint64_t least = thread.virtual_runtime;
    if (!tree_.empty() && before(tree_.begin()->virtual_runtime, least)) least = tree_.begin()->virtual_runtime;
    if (before(minimum_, least)) minimum_ = least;
}

bool RunQueue::preempts(const Thread& waking, const Thread& running) const {
    return before(waking.virtual_runtime + kWakeupGranularityNs, running.virtual_runtime);
}

}  // namespace sched
