// epoll instances (epoll(7)).
//
// An instance holds one item per (file, descriptor). The item registers waiters with the file's wait queues; a
// wake-up puts the item on the ready list and wakes one sleeper. epoll_wait() takes items off the ready list and
// asks each file again, so the list may hold items that are not ready any more, never the other way round.
// Level-triggered items go back to its end after they were reported.
//
// Locks: lock_ (kEpoll) guards the items and is held while files are polled; instances that watch each other form no
// circle (ELOOP), and their locks are taken from the watching to the watched one. ready_lock_ (kEpollReady, above
// kWaitQueue) guards the ready list, since wake-ups run under the watched queue's lock.
//
// Items hold no reference to files: a file's last reference ends its items first (File::last_reference_dropped()),
// under lock_; so while lock_ is held, all files of its items exist.
#pragma once

#include <atomic>

#include "fs/events/anonymous_file.h"

namespace fs {

// struct epoll_event of x86-64.
struct [[gnu::packed]] EpollEvent {
    uint32_t events;
    uint64_t data;
};
static_assert(sizeof(EpollEvent) == 12);

inline constexpr uint32_t kEpollExclusive = 1u << 28, kEpollWakeUp = 1u << 29, kEpollOneShot = 1u << 30,
                          kEpollEdge = 1u << 31;

class Epoll final : public AnonymousFile {
  public:
    static const char kKind[];
    static Result<Ref<Epoll>> create();
    // The instance behind `file`, or null.
    static Epoll* of(File& file) { return file.kind() == kKind ? static_cast<Epoll*>(&file) : nullptr; }

    // epoll_ctl(2). EEXIST, ENOENT, EPERM (cannot be polled), EINVAL, ELOOP, ENOMEM; on an error nothing changed.
    Result<void> add(File& file, int fd, EpollEvent event);
    Result<void> modify(File& file, int fd, EpollEvent event);
    Result<void> remove(File& file, int fd);

    // epoll_wait(2): events stored, 0 at the deadline (0: do not wait). EINTR, EFAULT.
    Result<size_t> wait(UserOut<EpollEvent> events, size_t capacity, Nanoseconds deadline) {
        if (has_ready_.load(std::memory_order_acquire)) [[likely]] {
            auto count = collect(events, capacity);
            if (!count || *count > 0) [[likely]] return count;
        }
        if (deadline == 0) return 0;
        return wait_slowly(events, capacity, deadline);
    }

    Result<size_t> read(Destination&, uint64_t*) override { return fail(Errno::kInval); }
    Result<size_t> write(Source&, uint64_t*) override { return fail(Errno::kInval); }
    uint32_t poll(PollRegistrar* registrar) override;
    const char* kind() const override { return kKind; }
    Result<void> append_info(core::String& text) override;

    // Ends all items of a file that is about to be destroyed.
    static void forget(File& file);

    Epoll();
    ~Epoll() override;

  private:
    struct Item;
    struct Link;
    class Registrar;
    struct ByFile;
    struct Items;  // the tree and the ready list, whose types need Item

    Result<void> add_locked(File& file, int fd, EpollEvent event, Item* item);
    void destroy_item_locked(Item& item);
    void mark_ready(Item& item);
    Item* take_ready(uint32_t scan, bool* more);
    Result<size_t> wait_slowly(UserOut<EpollEvent> events, size_t capacity, Nanoseconds deadline);
    uint32_t ready_events(Item& item);
    uint32_t leave_ready_list(Item& item, uint32_t wanted);
    void put_back(Item& item, bool at_front);
    Result<size_t> collect(UserOut<EpollEvent> events, size_t capacity);
    bool reaches(const Epoll& target, unsigned depth);

    core::Spinlock lock_{core::Rank::kEpoll};
    core::Spinlock ready_lock_{core::Rank::kEpollReady};
    std::atomic<bool> has_ready_{false};  // the ready list is not empty
    uint32_t scan_ = 0;
    std::unique_ptr<Items> items_;
    sched::WaitQueue waiters_;  // epoll_wait(2), and whoever polls this instance
};

}  // namespace fs
