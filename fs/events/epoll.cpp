#include "fs/events/epoll.h"

#include <climits>

#include "arch/x86_64/user_word.h"
#include "core/log.h"
#include "fs/events/thread_waiter.h"

namespace fs {

const char Epoll::kKind[] = "epoll";

namespace {
constexpr uint32_t kPrivateBits = kEpollExclusive | kEpollWakeUp | kEpollOneShot | kEpollEdge;
constexpr unsigned kMaxNesting = 4;  // EP_MAX_NESTS

// Guards File::watches of all files. Short: add and remove only.
core::Spinlock watch_lock{core::Rank::kFileWatch};
// Held while an instance is added to another one, so that two additions cannot close a circle together.
core::Spinlock nesting_lock{core::Rank::kInode};
}  // namespace

// Registration with one wait queue. Two are enough for all files but sockets with odd needs; more are allocated.
struct Epoll::Link final : sched::Waiter {
    Link(Item& owner, bool exclusive) : sched::Waiter(exclusive), item(owner) {}
    void wake(uint32_t events) override;
    Item& item;
    Link* next = nullptr;
};

struct Epoll::Item final : FileWatch {
    Item(Epoll& owner, File& watched, int descriptor, EpollEvent event)
        : epoll(owner), file(watched), fd(descriptor), data(event.data), events(event.events) {}

    Epoll& epoll;
    File& file;
    const int fd;
    uint64_t data;
    std::atomic<uint32_t> events;  // 0 but private bits: disarmed by EPOLLONESHOT. Read by wake-ups.
    uint32_t scan = 0;             // the last scan that put it back
    core::TreeHook tree_hook;
    core::ListHook ready_hook;
    Link* links = nullptr;
};

struct Epoll::ByFile {
    struct Key { const File* file; int fd; };
    static Key key(const Item& item) { return {&item.file, item.fd}; }
    static Key key(const Key& key) { return key; }
    template <typename Left, typename Right>
    bool operator()(const Left& left, const Right& right) const {
        Key a = key(left), b = key(right);
        return a.file != b.file ? a.file < b.file : a.fd < b.fd;
    }
};

struct Epoll::Items {
    core::Tree<Item, &Item::tree_hook, ByFile> tree;
    core::List<Item, &Item::ready_hook> ready;
};

// Hands the item's waiters to the queues that the file names.
class Epoll::Registrar final : public PollRegistrar {
  public:
    explicit Registrar(Item& item) : item_(item) {}
    void watch(sched::WaitQueue& queue) override {
        auto* link = new (std::nothrow) Link(item_, item_.events.load() & kEpollExclusive);
        if (!link) {
            failed = true;
            return;
        }
        link->next = std::exchange(item_.links, link);
        queue.add(*link);
    }
    bool failed = false;

  private:
    Item& item_;
};

void Epoll::Link::wake(uint32_t happened) {
    uint32_t wanted = item.events.load(std::memory_order_relaxed);
    if (!(wanted & ~kPrivateBits) || (happened && !(happened & wanted))) return decline();
    item.epoll.mark_ready(item);
    // With EPOLLEXCLUSIVE an instance whose threads are all busy lets the next one have the event.
    if (item.epoll.waiters_.empty()) return decline();
    item.epoll.waiters_.wake_nested(kPollIn | kPollRdNorm, 1);
}

Epoll::Epoll() : AnonymousFile(kORdWr, "[eventpoll]") {}

Result<Ref<Epoll>> Epoll::create() {
    auto epoll = TRY(core::make_ref<Epoll>());
    epoll->items_ = TRY(core::make<Items>());
    return epoll;
}

Epoll::~Epoll() {
    if (!items_) return;
    core::SpinGuard guard(lock_, core::SpinGuard::Nested());
    while (!items_->tree.empty()) destroy_item_locked(*items_->tree.begin());
}

void Epoll::mark_ready(Item& item) {
    core::SpinGuard guard(ready_lock_);
    if (item.ready_hook.is_linked()) return;
    items_->ready.push_back(item);
    has_ready_.store(true, std::memory_order_release);
}

// The first ready item that scan number `scan` has not seen, or null. Level-triggered items stay on the list, at its
// end; the others leave it. `*more` tells whether there is another one to take.
[[gnu::always_inline]] inline Epoll::Item* Epoll::take_ready(uint32_t scan, bool* more) {
    core::SpinGuard guard(ready_lock_);
    auto& ready = items_->ready;
    *more = false;
    if (ready.empty() || ready.front().scan == scan) return nullptr;
    Item& item = ready.front();
    item.scan = scan;
    if (item.events.load(std::memory_order_relaxed) & (kEpollEdge | kEpollOneShot)) {
        ready.pop_front();
        if (ready.empty()) has_ready_.store(false, std::memory_order_relaxed);
    } else if (&ready.back() != &item) {
        ready.splice(ready.end(), ready, ready.begin());
    }
    *more = has_ready_.load(std::memory_order_relaxed) && ready.front().scan != scan;
    return &item;
}

// What of its events an item is ready for. If nothing, it is off the ready list, unless a wake-up put it there since.
[[gnu::always_inline]] inline uint32_t Epoll::ready_events(Item& item) {
    uint32_t wanted = item.events.load(std::memory_order_relaxed);
    if (!(wanted & ~kPrivateBits)) return 0;
    uint32_t ready = item.file.poll(nullptr) & wanted;
    return ready || !item.ready_hook.is_linked() ? ready : leave_ready_list(item, wanted);
}

[[gnu::noinline]] uint32_t Epoll::leave_ready_list(Item& item, uint32_t wanted) {
    {
        core::SpinGuard guard(ready_lock_);
        item.ready_hook.unlink();
        if (items_->ready.empty()) has_ready_.store(false, std::memory_order_relaxed);
    }
    // A wake-up that found it on the list has done nothing: ask once more.
    uint32_t ready = item.file.poll(nullptr) & wanted;
    if (ready && !(wanted & (kEpollEdge | kEpollOneShot))) put_back(item, false);
    return ready;
}

void Epoll::put_back(Item& item, bool at_front) {
    core::SpinGuard guard(ready_lock_);
    if (item.ready_hook.is_linked()) return;
    if (at_front) items_->ready.push_front(item);
    else items_->ready.push_back(item);
    has_ready_.store(true, std::memory_order_release);
}

void Epoll::destroy_item_locked(Item& item) {
    while (Link* link = item.links) {
        if (link->queue) link->queue->remove(*link);
        item.links = link->next;
        delete link;
    }
    // No wake-up can come from here on.
    {
        core::SpinGuard guard(ready_lock_);
        item.ready_hook.unlink();
        if (items_->ready.empty()) has_ready_.store(false, std::memory_order_relaxed);
    }
    items_->tree.erase(items_->tree.iterator_to(item));
    {
        core::SpinGuard guard(watch_lock);
        File& file = item.file;
        item.file_hook.unlink();
        if (file.watches.empty()) file.watched.store(false, std::memory_order_release);
    }
    delete &item;
}

// True if `target` is this instance or watched by it, or if instances are nested too deeply to tell.
bool Epoll::reaches(const Epoll& target, unsigned depth) {
    if (this == &target || depth > kMaxNesting) return true;
    core::SpinGuard guard(lock_, core::SpinGuard::Nested());
    for (Item& item : items_->tree) {
        Epoll* inner = Epoll::of(item.file);
        if (inner && inner->reaches(target, depth + 1)) return true;
    }
    return false;
}

Result<void> Epoll::add(File& file, int fd, EpollEvent event) {
    if (!file.pollable()) return fail(Errno::kPerm);
    if (&file == this) return fail(Errno::kInval);
    Epoll* inner = Epoll::of(file);
    if (event.events & kEpollExclusive) {
        constexpr uint32_t kAllowed = kPollIn | kPollRdNorm | kPollOut | kPollWrNorm | kPollErr | kPollHup |
                                      kEpollWakeUp | kEpollEdge | kEpollExclusive;
        if (inner || (event.events & ~kAllowed)) return fail(Errno::kInval);
    }
    event.events |= kPollErr | kPollHup;
    auto item = TRY(core::make<Item>(*this, file, fd, event));
    if (inner) {
        core::SpinGuard nesting(nesting_lock);
        if (inner->reaches(*this, 0)) return fail(Errno::kLoop);
        TRY(add_locked(file, fd, event, item.get()));
    } else {
        TRY(add_locked(file, fd, event, item.get()));
    }
    item.release();
    return {};
}

Result<void> Epoll::add_locked(File& file, int fd, EpollEvent event, Item* item) {
    core::SpinGuard guard(lock_);
    if (!items_->tree.insert(*item).second) return fail(Errno::kExist);
    {
        core::SpinGuard watch(watch_lock);
        file.watches.push_back(*item);
        file.watched.store(true, std::memory_order_release);
    }
    Registrar registrar(*item);
    uint32_t ready = file.poll(&registrar) & event.events;
    if (registrar.failed) {
        // destroy_item_locked() would also delete it, which is the caller's to do.
        auto* copy = item;
        while (Link* link = copy->links) {
            if (link->queue) link->queue->remove(*link);
            copy->links = link->next;
            delete link;
        }
        core::SpinGuard ready_guard(ready_lock_);
        copy->ready_hook.unlink();
        ready_guard.unlock();
        items_->tree.erase(items_->tree.iterator_to(*copy));
        core::SpinGuard watch(watch_lock);
        copy->file_hook.unlink();
        if (file.watches.empty()) file.watched.store(false, std::memory_order_release);
        return fail(Errno::kNoMem);
    }
    if (ready) mark_ready(*item);
    guard.unlock();
    if (ready) waiters_.wake_one(kPollIn | kPollRdNorm);
    return {};
}

Result<void> Epoll::modify(File& file, int fd, EpollEvent event) {
    if (!file.pollable()) return fail(Errno::kPerm);
    if (&file == this || (event.events & kEpollExclusive)) return fail(Errno::kInval);
    core::SpinGuard guard(lock_);
    auto found = items_->tree.find(ByFile::Key{&file, fd}, ByFile());
    if (found == items_->tree.end()) return fail(Errno::kNoEnt);
    if (found->events.load() & kEpollExclusive) return fail(Errno::kInval);
    uint32_t wanted = event.events | kPollErr | kPollHup;
    found->data = event.data;
    // Visible to wake-ups before the file is asked, so that a change in between is seen by one of the two.
    found->events.store(wanted, std::memory_order_seq_cst);
    bool ready = file.poll(nullptr) & wanted;
    if (ready) mark_ready(*found);
    guard.unlock();
    if (ready) waiters_.wake_one(kPollIn | kPollRdNorm);
    return {};
}

Result<void> Epoll::remove(File& file, int fd) {
    if (!file.pollable()) return fail(Errno::kPerm);
    if (&file == this) return fail(Errno::kInval);
    core::SpinGuard guard(lock_);
    auto found = items_->tree.find(ByFile::Key{&file, fd}, ByFile());
    if (found == items_->tree.end()) return fail(Errno::kNoEnt);
    destroy_item_locked(*found);
    return {};
}

Result<size_t> Epoll::collect(UserOut<EpollEvent> events, size_t capacity) {
    core::SpinGuard guard(lock_);
    uint32_t scan = ++scan_;
    size_t count = 0;
    bool fault = false;
    bool more = true;
    while (count < capacity && more) {
        Item* item = take_ready(scan, &more);
        if (!item) break;
        uint32_t wanted = item->events.load(std::memory_order_relaxed);
        uint32_t ready = ready_events(*item);
        if (!ready) continue;
        uint64_t to = (events + count).address().value();
        if (!arch::store_user_word(to, ready) ||
            !arch::store_user_word(to + offsetof(EpollEvent, data), item->data)) [[unlikely]] {
            put_back(*item, true);
            fault = true;
            break;
        }
        count++;
        if (wanted & kEpollOneShot) item->events.store(wanted & kPrivateBits, std::memory_order_relaxed);
    }
    guard.unlock();
    // What is left may concern another sleeper.
    if (!waiters_.empty() && has_ready_.load(std::memory_order_acquire)) waiters_.wake_one(kPollIn | kPollRdNorm);
    if (fault && count == 0) return fail(Errno::kFault);
    return count;
}

Result<size_t> Epoll::wait_slowly(UserOut<EpollEvent> events, size_t capacity, Nanoseconds deadline) {
    for (;;) {
        ThreadWaiter waiter(true);
        sched::prepare_sleep(sched::Interruptible::kYes);
        waiters_.add(waiter);
        sched::Wake outcome = sched::Wake::kWoken;
        if (has_ready_.load()) sched::cancel_sleep();
        else outcome = sched::sleep(deadline);
        waiters_.remove(waiter);
        if (has_ready_.load(std::memory_order_acquire)) {
            size_t count = TRY(collect(events, capacity));
            if (count > 0) return count;  // else what was ready is no more
        }
        if (outcome == sched::Wake::kInterrupted) return fail(Errno::kIntr);
        if (outcome == sched::Wake::kTimeout) return 0;
    }
}

uint32_t Epoll::poll(PollRegistrar* registrar) {
    if (registrar) registrar->watch(waiters_);
    core::SpinGuard guard(lock_, core::SpinGuard::Nested());
    uint32_t scan = ++scan_;
    bool more;
    while (Item* item = take_ready(scan, &more)) {
        if (!ready_events(*item)) continue;
        put_back(*item, true);
        return kPollIn | kPollRdNorm;
    }
    return 0;
}

Result<void> Epoll::append_info(core::String& text) {
    // Copied out under the lock piece by piece would allocate there: count first.
    core::Vector<ByFile::Key> keys;
    core::Vector<EpollEvent> values;
    TRY(keys.reserve(64));
    TRY(values.reserve(64));
    {
        core::SpinGuard guard(lock_);
        for (Item& item : items_->tree) {
            if (keys.size() == 64) break;
            TRY(keys.push_back(ByFile::key(item)));
            TRY(values.push_back({item.events.load(), item.data}));
        }
    }
    for (size_t i = 0; i < keys.size(); i++) {
        char line[96];
        TRY(text.append(klog::format(line, sizeof line, "tfd: {} events: {:x} data: {:x}\n", keys[i].fd,
                                     uint32_t{values[i].events}, uint64_t{values[i].data})));
    }
    return {};
}

void Epoll::forget(File& file) {
    for (;;) {
        Ref<Epoll> epoll;
        {
            core::SpinGuard guard(watch_lock);
            if (file.watches.empty()) return;
            Epoll& owner = static_cast<Item&>(file.watches.front()).epoll;
            if (owner.try_ref()) epoll = Ref<Epoll>::adopt(&owner);
        }
        if (!epoll) {
            // The instance is being destroyed by another processor and drops its items itself.
            core::spin_wait();
            continue;
        }
        core::SpinGuard guard(epoll->lock_);
        auto& tree = epoll->items_->tree;
        auto found = tree.lower_bound(ByFile::Key{&file, INT_MIN}, ByFile());
        while (found != tree.end() && &found->file == &file) epoll->destroy_item_locked(*found++);
    }
}

void File::last_reference_dropped() const {
    if (watched.load(std::memory_order_acquire)) Epoll::forget(const_cast<File&>(*this));
    delete this;
}

}  // namespace fs
