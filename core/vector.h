// A growable array whose growth can fail. Elements must be nothrow-movable.
#pragma once

#include <cstddef>
#include <new>
#include <span>
#include <utility>

#include "core/panic.h"
#include "core/result.h"

namespace core {

template <typename T>
class Vector {
  public:
    Vector() = default;
    Vector(Vector&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)),
          capacity_(std::exchange(other.capacity_, 0)) {}
    Vector& operator=(Vector&& other) noexcept {
        Vector old(std::move(*this));
        data_ = std::exchange(other.data_, nullptr);
        size_ = std::exchange(other.size_, 0);
        capacity_ = std::exchange(other.capacity_, 0);
        return *this;
    }
    Vector(const Vector&) = delete;
    ~Vector() { clear(); ::operator delete(data_); }

    // ENOMEM leaves the vector as it was.
    Result<void> reserve(size_t capacity) {
        if (capacity <= capacity_) return {};
        T* grown = static_cast<T*>(::operator new(capacity * sizeof(T), std::nothrow));
        if (!grown) return fail(Errno::kNoMem);
        for (size_t i = 0; i < size_; i++) {
            new (&grown[i]) T(std::move(data_[i]));
            data_[i].~T();
        }
        ::operator delete(data_);
        data_ = grown;
        capacity_ = capacity;
        return {};
    }
    Result<void> push_back(T value) {
        if (size_ == capacity_) {
            auto grown = reserve(capacity_ ? capacity_ * 2 : 8);
            if (!grown) return grown;
        }
        new (&data_[size_++]) T(std::move(value));
        return {};
    }
    // Grows with default values or shrinks.
    Result<void> resize(size_t size) {
        if (auto grown = reserve(size); !grown) return grown;
        while (size_ < size) new (&data_[size_++]) T();
        while (size_ > size) data_[--size_].~T();
        return {};
    }
    void pop_back() { ASSERT(size_ > 0); data_[--size_].~T(); }
    // Keeps the order.
    void erase(size_t index) {
        ASSERT(index < size_);
        for (size_t i = index + 1; i < size_; i++) data_[i - 1] = std::move(data_[i]);
        pop_back();
    }
    void clear() { while (size_ > 0) pop_back(); }

    T& operator[](size_t index) { ASSERT(index < size_); return data_[index]; }
    const T& operator[](size_t index) const { ASSERT(index < size_); return data_[index]; }
    T& back() { return (*this)[size_ - 1]; }
    size_t size() const { return size_; }
    size_t capacity() const { return capacity_; }
    bool empty() const { return size_ == 0; }
    T* data() { return data_; }
    const T* data() const { return data_; }
    T* begin() { return data_; }
    T* end() { return data_ + size_; }
    const T* begin() const { return data_; }
    const T* end() const { return data_ + size_; }
    operator std::span<const T>() const { return {data_, size_}; }

  private:
    T* data_ = nullptr;
    size_t size_ = 0;
    size_t capacity_ = 0;
};

}  // namespace core
