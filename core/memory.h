// Allocation that can fail, said in the type. The kernel has no throwing `new`.
//
//     auto pipe = TRY(core::make<Pipe>(arguments));       // Result<std::unique_ptr<Pipe>>
//     auto file = TRY(core::make_ref<File>(arguments));   // Result<Ref<File>>
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

#include "core/panic.h"
#include "core/result.h"

namespace core {

template <typename T, typename... Args>
Result<std::unique_ptr<T>> make(Args&&... args) {
    T* object = new (std::nothrow) T(std::forward<Args>(args)...);
    if (!object) return fail(Errno::kNoMem);
    return std::unique_ptr<T>(object);
}

// Base of objects with shared ownership. Starts with one reference, which make_ref() adopts.
class RefCounted {
  public:
    RefCounted() = default;
    RefCounted(const RefCounted&) = delete;
    RefCounted& operator=(const RefCounted&) = delete;

    void ref() const { references_.fetch_add(1, std::memory_order_relaxed); }
    // Takes a reference unless the last one is already gone (look-ups in tables that hold none).
    bool try_ref() const {
        uint32_t count = references_.load(std::memory_order_relaxed);
        while (count != 0) {
            if (references_.compare_exchange_weak(count, count + 1, std::memory_order_acquire)) return true;
        }
        return false;
    }
    void unref() const {
        if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) last_reference_dropped();
    }
    uint32_t reference_count() const { return references_.load(std::memory_order_relaxed); }

  protected:
    virtual ~RefCounted() = default;
    // Destroys the object. Overridden by those that others watch without a reference (fs::File): the watchers must
    // be gone before the first destructor runs.
    virtual void last_reference_dropped() const { delete this; }

  private:
    mutable std::atomic<uint32_t> references_{1};
};

// A counted pointer to a RefCounted object; may be null.
template <typename T>
class Ref {
  public:
    constexpr Ref() = default;
    constexpr Ref(std::nullptr_t) {}
    // Shares: adds a reference.
    explicit Ref(T* object) : object_(object) { if (object_) object_->ref(); }
    Ref(const Ref& other) : Ref(other.object_) {}
    Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
    template <typename U>
        requires std::is_convertible_v<U*, T*>
    Ref(const Ref<U>& other) : Ref(static_cast<T*>(other.get())) {}
    template <typename U>
        requires std::is_convertible_v<U*, T*>
    Ref(Ref<U>&& other) noexcept : object_(other.release()) {}
    ~Ref() { if (object_) object_->unref(); }
    Ref& operator=(Ref other) noexcept { std::swap(object_, other.object_); return *this; }

    // Takes over the reference that the caller owns.
    static Ref adopt(T* object) { Ref ref; ref.object_ = object; return ref; }

    T* get() const { return object_; }
    T* operator->() const { return object_; }
    T& operator*() const { return *object_; }
    explicit operator bool() const { return object_ != nullptr; }
    bool operator==(const Ref& other) const { return object_ == other.object_; }
    bool operator==(const T* other) const { return object_ == other; }
    // Gives the reference to the caller.
    T* release() { return std::exchange(object_, nullptr); }
    void reset() { *this = Ref(); }

  private:
    T* object_ = nullptr;
};

template <typename T, typename... Args>
Result<Ref<T>> make_ref(Args&&... args) {
    T* object = new (std::nothrow) T(std::forward<Args>(args)...);
    if (!object) return fail(Errno::kNoMem);
    return Ref<T>::adopt(object);
}

// Runs `action` at scope exit unless cancelled: undo until the commit point.
template <typename Action>
class [[nodiscard]] Defer {
  public:
    explicit Defer(Action action) : action_(std::move(action)) {}
    Defer(const Defer&) = delete;
    ~Defer() { if (armed_) action_(); }
    void cancel() { armed_ = false; }

  private:
    Action action_;
    bool armed_ = true;
};

}  // namespace core

using core::Ref;
