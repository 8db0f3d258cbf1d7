#include "fs/events/poll_set.h"

#include <new>

#include "sched/thread.h"

namespace fs {

namespace {

// The waiters of one call. The first few live on the stack.
class PollSet final : public PollRegistrar {
  public:
    PollSet() : thread_(sched::current()) {}
    ~PollSet() {
        while (Waiter* waiter = first_) {
            if (waiter->queue) waiter->queue->remove(*waiter);
            first_ = waiter->next;
            if (waiter < inline_ || waiter >= inline_ + kInline) delete waiter;
        }
    }
    void watch(sched::WaitQueue& queue) override {
        Waiter* waiter = used_ < kInline ? &inline_[used_++] : new (std::nothrow) Waiter;
        if (!waiter) {
            failed = true;
            return;
        }
        waiter->set = this;
        waiter->wanted = wanted | kPollErr | kPollHup;
        waiter->next = std::exchange(first_, waiter);
        queue.add(*waiter);
    }
    // Sleeps unless a wake-up came since the last call.
    sched::Wake sleep(Nanoseconds deadline) {
        sched::prepare_sleep(sched::Interruptible::kYes);
        if (triggered_.exchange(false)) {
            sched::cancel_sleep();
            return sched::Wake::kWoken;
        }
        return sched::sleep(deadline);
    }

    uint32_t wanted = 0;  // of the file that registers now
    bool failed = false;

  private:
    struct Waiter final : sched::Waiter {
        void wake(uint32_t events) override {
            if (events && !(events & wanted)) return;
            set->triggered_.store(true);
            sched::wake(set->thread_);
        }
        PollSet* set = nullptr;
        Waiter* next = nullptr;
        uint32_t wanted = 0;
    };

    static constexpr size_t kInline = 8;
    sched::Thread& thread_;
    std::atomic<bool> triggered_{false};
    Waiter* first_ = nullptr;
    size_t used_ = 0;
    Waiter inline_[kInline];
};

// Asks all files; registers with them until one is found ready, since then nobody will sleep.
size_t scan(std::span<PollEntry> entries, PollSet* set) {
    size_t count = 0;
    for (PollEntry& entry : entries) {
        if (!entry.file) continue;
        uint32_t wanted = entry.wanted | kPollErr | kPollHup;
        if (set) set->wanted = entry.wanted;
        entry.ready = entry.file->poll(set) & wanted;
        if (entry.ready) {
            count++;
            set = nullptr;
        }
    }
    return count;
}

}  // namespace

Result<size_t> wait_for_files(std::span<PollEntry> entries, Nanoseconds deadline) {
    if (deadline == 0) return scan(entries, nullptr);
    PollSet set;
    size_t count = scan(entries, &set);
    if (count > 0) return count;
    if (set.failed) return fail(Errno::kNoMem);
    for (;;) {
        sched::Wake outcome = set.sleep(deadline);
        count = scan(entries, nullptr);
        if (count > 0) return count;
        if (outcome == sched::Wake::kTimeout) return 0;
        if (outcome == sched::Wake::kInterrupted) return fail(Errno::kIntr);
    }
}

}  // namespace fs
