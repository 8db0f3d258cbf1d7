// Addresses and page counts as distinct types: mixing them up does not compile.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

namespace core {

inline constexpr size_t kPageShift = 12;
inline constexpr size_t kPageSize = size_t{1} << kPageShift;
inline constexpr size_t kPageMask = kPageSize - 1;
inline constexpr size_t kHugePageSize = size_t{2} << 20;

constexpr uint64_t align_down(uint64_t value, uint64_t alignment) { return value & ~(alignment - 1); }
constexpr uint64_t align_up(uint64_t value, uint64_t alignment) {
    return (value + alignment - 1) & ~(alignment - 1);
}
constexpr bool is_aligned(uint64_t value, uint64_t alignment) { return (value & (alignment - 1)) == 0; }

// An address of one space. Addresses of different spaces neither compare nor convert.
template <typename Space>
class Address {
  public:
    constexpr Address() = default;
    constexpr explicit Address(uint64_t value) : value_(value) {}

    constexpr uint64_t value() const { return value_; }
    constexpr auto operator<=>(const Address&) const = default;

    constexpr Address operator+(uint64_t bytes) const { return Address(value_ + bytes); }
    constexpr Address operator-(uint64_t bytes) const { return Address(value_ - bytes); }
    constexpr uint64_t operator-(Address other) const { return value_ - other.value_; }
    constexpr Address& operator+=(uint64_t bytes) { value_ += bytes; return *this; }

    constexpr Address page_down() const { return Address(align_down(value_, kPageSize)); }
    constexpr Address page_up() const { return Address(align_up(value_, kPageSize)); }
    constexpr uint64_t page_offset() const { return value_ & kPageMask; }
    constexpr bool is_null() const { return value_ == 0; }

  private:
    uint64_t value_ = 0;
};

struct PhysSpace;
struct UserSpace;
// Guest-physical memory.
using PhysAddr = Address<PhysSpace>;
// The lower half of a process's address space. Never dereferenced: see arch/x86_64/user_copy.h.
using UserAddr = Address<UserSpace>;

// Page frame number: a physical address divided by the page size.
class Pfn {
  public:
    constexpr Pfn() = default;
    constexpr explicit Pfn(uint64_t number) : number_(number) {}
    constexpr explicit Pfn(PhysAddr address) : number_(address.value() >> kPageShift) {}
    constexpr uint64_t number() const { return number_; }
    constexpr PhysAddr address() const { return PhysAddr(number_ << kPageShift); }
    constexpr auto operator<=>(const Pfn&) const = default;
    constexpr Pfn operator+(uint64_t pages) const { return Pfn(number_ + pages); }

  private:
    uint64_t number_ = 0;
};

// A half-open range [start, end) of user addresses.
struct UserRange {
    UserAddr start;
    UserAddr end;
    constexpr uint64_t size() const { return end - start; }
    constexpr bool empty() const { return start >= end; }
    constexpr bool contains(UserAddr address) const { return start <= address && address < end; }
    constexpr bool overlaps(UserRange other) const { return start < other.end && other.start < end; }
};

// First address past what programs may map. The last page below the canonical boundary is never mapped, so
// that the address after any user instruction is canonical (docs/security.md, "the way back").
inline constexpr uint64_t kUserEnd = 0x7fff'ffff'f000;
// mmap_min_addr, as Debian ships it.
inline constexpr uint64_t kUserMmapMin = 0x10000;

// An absolute time or a duration on the monotonic clock, in nanoseconds since boot.
using Nanoseconds = uint64_t;
inline constexpr Nanoseconds kNever = ~Nanoseconds{0};

// A user pointer to `const T` that only says where: arch::copy_in() reads it.
template <typename T>
class UserIn {
  public:
    constexpr UserIn() = default;
    constexpr explicit UserIn(uint64_t address) : address_(address) {}
    constexpr UserAddr address() const { return UserAddr(address_); }
    constexpr bool is_null() const { return address_ == 0; }
    constexpr UserIn operator+(uint64_t count) const { return UserIn(address_ + count * sizeof(T)); }

  private:
    uint64_t address_ = 0;
};

// A user pointer to `T` to be written (or read and written): arch::copy_out() / copy_in().
template <typename T>
class UserOut {
  public:
    constexpr UserOut() = default;
    constexpr explicit UserOut(uint64_t address) : address_(address) {}
    constexpr UserAddr address() const { return UserAddr(address_); }
    constexpr bool is_null() const { return address_ == 0; }
    constexpr UserOut operator+(uint64_t count) const { return UserOut(address_ + count * sizeof(T)); }
    constexpr operator UserIn<T>() const { return UserIn<T>(address_); }

  private:
    uint64_t address_ = 0;
};

}  // namespace core

using core::kPageSize;
using core::Nanoseconds;
using core::Pfn;
using core::PhysAddr;
using core::UserAddr;
using core::UserIn;
using core::UserOut;
using core::UserRange;
