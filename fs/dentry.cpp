#include "fs/dentry.h"

#include <array>

namespace fs {

namespace {

// Children hash with their directory's address, so that equal names spread.
uint32_t hash_name(const Dentry& directory, std::string_view name) {
    uint64_t hash = reinterpret_cast<uintptr_t>(&directory) >> 4;
    const char* data = name.data();
    size_t size = name.size();
    for (; size >= 8; data += 8, size -= 8) {
        uint64_t word;
        std::memcpy(&word, data, 8);
        hash = (hash ^ word) * 0x9e37'79b9'7f4a'7c15;
        hash ^= hash >> 32;
    }
    uint64_t tail = name.size();
    if (name.size() >= 8) {
        // The last word, part of which was seen already.
        uint64_t word;
        std::memcpy(&word, data + size - 8, 8);
        tail ^= word;
    } else {
        for (size_t i = 0; i < size; i++) tail = tail << 8 | static_cast<uint8_t>(data[i]);
    }
    hash = (hash ^ tail) * 0x9e37'79b9'7f4a'7c15;
    return static_cast<uint32_t>(hash >> 32);
}

constexpr size_t kBuckets = 2048;
constexpr size_t kLimit = 8192;  // about 1.5 MiB

struct Bucket {
    core::Spinlock lock{core::Rank::kDentry};  // innermost of its rank, one at a time
    Dentry* first = nullptr;
};
// The cache owns one reference to each dentry in it.
constinit std::array<Bucket, kBuckets> buckets{};
std::atomic<size_t> cached_count{0};
std::atomic<size_t> eviction_hand{0};

class [[nodiscard]] BucketGuard {
  public:
    explicit BucketGuard(Bucket& bucket) : bucket_(bucket) { bucket.lock.lock_nested(); }
    ~BucketGuard() { bucket_.lock.unlock(); }

  private:
    Bucket& bucket_;
};

}  // namespace

class DentryCache {
  public:
    enum class Found : uint8_t { kNothing, kNegative, kChild };

    static Bucket& bucket_of(uint32_t hash) { return buckets[hash % kBuckets]; }

    static Found find(uint32_t hash, const Dentry& directory, std::string_view name, Ref<Dentry>& result) {
        Bucket& bucket = bucket_of(hash);
        BucketGuard guard(bucket);
        for (Dentry* dentry = bucket.first; dentry; dentry = dentry->next_) {
            if (!dentry->matches(hash, directory, name)) continue;
            dentry->used_.store(true, std::memory_order_relaxed);
            if (dentry->is_negative()) return Found::kNegative;
            result = Ref<Dentry>(dentry);
            return Found::kChild;
        }
        return Found::kNothing;
    }

    // Hashes a dentry; its reference becomes the cache's.
    static void insert(Ref<Dentry> dentry) {
        dentry->hash_ = hash_name(*dentry->parent_, dentry->name());
        Bucket& bucket = bucket_of(dentry->hash_);
        BucketGuard guard(bucket);
        Dentry* raw = dentry.release();
        raw->next_ = bucket.first;
        raw->hashed_ = true;
        bucket.first = raw;
        raw->parent_->cached_children_.fetch_add(1, std::memory_order_relaxed);
        cached_count.fetch_add(1, std::memory_order_relaxed);
    }

    // Gives the cache's reference back, null if it was not cached.
    static Ref<Dentry> take(Dentry& dentry) {
        Bucket& bucket = bucket_of(dentry.hash_);
        BucketGuard guard(bucket);
        if (!dentry.hashed_) return nullptr;
        for (Dentry** link = &bucket.first; *link; link = &(*link)->next_) {
            if (*link == &dentry) return unlink(link);
        }
        PANIC("a hashed dentry is not in its bucket");
    }

    static Ref<Dentry> take_negative(const Dentry& directory, std::string_view name) {
        uint32_t hash = hash_name(directory, name);
        Bucket& bucket = bucket_of(hash);
        BucketGuard guard(bucket);
        for (Dentry** link = &bucket.first; *link; link = &(*link)->next_) {
            if ((*link)->is_negative() && (*link)->matches(hash, directory, name)) return unlink(link);
        }
        return nullptr;
    }

    // Takes out all dentries that satisfy `wanted`, at most `limit`, starting at bucket `first`.
    template <typename Predicate>
    static size_t sweep(size_t first, size_t bucket_count, size_t limit, Predicate wanted) {
        size_t freed = 0;
        for (size_t i = 0; i < bucket_count && freed < limit; i++) {
            Bucket& bucket = buckets[(first + i) % kBuckets];
            Dentry* doomed = nullptr;
            {
                BucketGuard guard(bucket);
                for (Dentry** link = &bucket.first; *link;) {
                    if (!wanted(**link)) {
                        link = &(*link)->next_;
                        continue;
                    }
                    Dentry* dentry = unlink(link).release();
                    dentry->next_ = doomed;
                    doomed = dentry;
                }
            }
            while (doomed) {
                Dentry* next = doomed->next_;
                Ref<Dentry>::adopt(doomed).reset();
                doomed = next;
                freed++;
            }
        }
        return freed;
    }

    // With the cache's reference only. Under the bucket lock nobody can get another one.
    static bool unused(Dentry& dentry) {
        return dentry.reference_count() == 1 && !dentry.used_.exchange(false, std::memory_order_relaxed);
    }

    static const Dentry* parent(const Dentry& dentry) { return dentry.parent_.get(); }
    static bool has_children(const Dentry& dentry) {
        return dentry.cached_children_.load(std::memory_order_relaxed) != 0;
    }

    static void swap_place(Dentry& first, Dentry& second) {
        std::swap(first.parent_, second.parent_);
        std::swap(first.name_size_, second.name_size_);
        std::swap(first.short_name_, second.short_name_);
        std::swap(first.long_name_, second.long_name_);
    }
    static void mark_deleted(Dentry& dentry) { dentry.deleted_.store(true, std::memory_order_relaxed); }

  private:
    static Ref<Dentry> unlink(Dentry** link) {
        Dentry* dentry = *link;
        *link = dentry->next_;
        dentry->next_ = nullptr;
        dentry->hashed_ = false;
        dentry->parent_->cached_children_.fetch_sub(1, std::memory_order_relaxed);
        cached_count.fetch_sub(1, std::memory_order_relaxed);
        return Ref<Dentry>::adopt(dentry);
    }
};

Result<Ref<Dentry>> Dentry::create_detached(Ref<Inode> inode, std::string_view name) {
    auto dentry = TRY(core::make_ref<Dentry>(Ref<Dentry>(), std::move(inode)));
    TRY(dentry->set_name(name));
    return dentry;
}

Result<Ref<Dentry>> Dentry::create(Dentry& parent, std::string_view name, Ref<Inode> inode) {
    auto dentry = TRY(core::make_ref<Dentry>(Ref<Dentry>(&parent), std::move(inode)));
    TRY(dentry->set_name(name));
    return dentry;
}

Dentry::Dentry(Ref<Dentry> parent, Ref<Inode> inode) : parent_(std::move(parent)), inode_(std::move(inode)) {
    if (inode_) type_ = inode_->ownership().type;
}

void Dentry::set_inode(Ref<Inode> inode) {
    inode_ = std::move(inode);
    type_ = inode_->ownership().type;
}

Dentry::~Dentry() = default;

void Dentry::last_reference_dropped() const {
    auto* dentry = const_cast<Dentry*>(this);
    while (dentry) {
        Dentry* parent = dentry->parent_.release();
        delete dentry;
        dentry = nullptr;
        // The only reference to an uncached dentry is ours: nobody can gain another one.
        if (parent && parent->reference_count() == 1) dentry = parent;
        else if (parent) parent->unref();
    }
}

Result<void> Dentry::set_name(std::string_view name) {
    if (name.size() > 255) return fail(Errno::kNameTooLong);
    if (name.size() > sizeof short_name_) long_name_ = TRY(core::String::create(name));
    else std::memcpy(short_name_, name.data(), name.size());
    name_size_ = static_cast<uint8_t>(name.size());
    return {};
}

bool Dentry::matches(uint32_t hash, const Dentry& parent, std::string_view name) const {
    return hash_ == hash && parent_.get() == &parent && this->name() == name;
}

Ref<Dentry> Dentry::parent() const {
    core::SpinGuard guard(rename_lock());
    return parent_;
}

bool Dentry::is_below_locked(const Dentry& ancestor) const {
    for (const Dentry* dentry = this; dentry; dentry = dentry->parent_.get()) {
        if (dentry == &ancestor) return true;
    }
    return false;
}

core::Spinlock& rename_lock() {
    static constinit core::Spinlock lock{core::Rank::kDentry};
    return lock;
}

Result<Ref<Dentry>> child(Dentry& directory, std::string_view name) {
    Ref<Dentry> found;
    switch (DentryCache::find(hash_name(directory, name), directory, name, found)) {
        case DentryCache::Found::kChild: return found;
        case DentryCache::Found::kNegative: return fail(Errno::kNoEnt);
        case DentryCache::Found::kNothing: break;
    }
    Inode& inode = directory.inode();
    if (inode.file_system().volatile_names()) return Dentry::create(directory, name, TRY(inode.lookup(name)));
    Result<Ref<Dentry>> result = [&] {
        core::SpinGuard guard(directory.lock);
        return child_locked(directory, name);
    }();
    if (cached_count.load(std::memory_order_relaxed) > kLimit) shrink_dentries(16);
    return result;
}

Result<Ref<Dentry>> child_locked(Dentry& directory, std::string_view name) {
    Ref<Dentry> found;
    switch (DentryCache::find(hash_name(directory, name), directory, name, found)) {
        case DentryCache::Found::kChild: return found;
        case DentryCache::Found::kNegative: return fail(Errno::kNoEnt);
        case DentryCache::Found::kNothing: break;
    }
    if (directory.deleted()) return fail(Errno::kNoEnt);
    auto inode = directory.inode().lookup(name);
    if (directory.inode().file_system().volatile_names()) {
        if (!inode) return fail(inode.error());
        return Dentry::create(directory, name, std::move(*inode));
    }
    if (!inode && inode.error() != Errno::kNoEnt) return fail(inode.error());
    auto dentry = TRY(Dentry::create(directory, name, inode ? *inode : Ref<Inode>()));
    DentryCache::insert(dentry);
    if (!inode) return fail(Errno::kNoEnt);
    return dentry;
}

void dentry_added_locked(Ref<Dentry> dentry) {
    if (dentry->inode().file_system().volatile_names()) return;
    Ref<Dentry> negative = DentryCache::take_negative(*DentryCache::parent(*dentry), dentry->name_locked());
    DentryCache::insert(std::move(dentry));
}

void dentry_removed_locked(Dentry& dentry) {
    DentryCache::mark_deleted(dentry);
    DentryCache::take(dentry).reset();  // the caller holds another reference
    if (DentryCache::has_children(dentry)) forget_children(dentry);
}

void dentry_moved_locked(Dentry& moved, Dentry& placeholder, Dentry* replaced) {
    if (replaced) dentry_removed_locked(*replaced);
    Ref<Dentry> negative =
        DentryCache::take_negative(*DentryCache::parent(placeholder), placeholder.name_locked());
    Ref<Dentry> cached = DentryCache::take(moved);
    DentryCache::swap_place(moved, placeholder);
    if (cached) DentryCache::insert(std::move(cached));
}

void dentry_exchanged_locked(Dentry& first, Dentry& second) {
    Ref<Dentry> first_cached = DentryCache::take(first), second_cached = DentryCache::take(second);
    DentryCache::swap_place(first, second);
    if (first_cached) DentryCache::insert(std::move(first_cached));
    if (second_cached) DentryCache::insert(std::move(second_cached));
}

void forget_children(Dentry& directory) {
    DentryCache::sweep(0, kBuckets, ~size_t{0},
                       [&](Dentry& dentry) { return DentryCache::parent(dentry) == &directory; });
}

void forget_file_system(const FileSystem& file_system) {
    DentryCache::sweep(0, kBuckets, ~size_t{0}, [&](Dentry& dentry) {
        const Dentry* owner = dentry.is_negative() ? DentryCache::parent(dentry) : &dentry;
        return &owner->inode().file_system() == &file_system;
    });
}

size_t shrink_dentries(size_t wanted) {
    // Twice around at most: the first pass may only clear the marks of use.
    size_t freed = 0;
    for (size_t i = 0; i < 2 * kBuckets / 64 && freed < wanted; i++) {
        size_t first = eviction_hand.fetch_add(64, std::memory_order_relaxed) % kBuckets;
        freed += DentryCache::sweep(first, 64, wanted - freed, DentryCache::unused);
    }
    return freed;
}

DentryStatistics dentry_statistics() { return {cached_count.load(std::memory_order_relaxed), kLimit}; }

}  // namespace fs
