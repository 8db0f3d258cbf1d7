// The only way from the kernel to a program's memory. A bad address yields EFAULT, never a fault of the kernel.
//
// Cost: one range check, one string move. Copies honour the page protections of the running address space
// (copy-on-write is resolved, read-only pages fault) and the thread's own protection keys. They may be made
// under locks of a rank below kAddressSpace; they never sleep. A copy of more than 64 KiB passes poll points
// if no lock is held. After EFAULT a part of the destination may have been written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "core/result.h"
#include "core/types.h"

namespace arch {

Result<void> copy_in(void* destination, UserAddr source, size_t size);
Result<void> copy_out(UserAddr destination, const void* source, size_t size);
Result<void> zero_user(UserAddr destination, size_t size);
// Copies a NUL-terminated string of at most `capacity` bytes with its NUL; returns its length without it.
// ENAMETOOLONG if no NUL is found within `capacity` bytes.
Result<size_t> copy_in_string(char* destination, UserAddr source, size_t capacity);

// Aligned 32-bit atomics for futexes; EFAULT as above.
Result<uint32_t> user_load32(UserAddr address);
Result<uint32_t> user_compare_exchange32(UserAddr address, uint32_t expected, uint32_t desired);  // old value
Result<uint32_t> user_exchange32(UserAddr address, uint32_t value);                                // old value
// futex(2) FUTEX_OP_*: 0 set, 1 add, 2 or, 3 andn, 4 xor. Returns the old value.
Result<uint32_t> user_fetch_op32(UserAddr address, uint32_t operation, uint32_t operand);

template <typename T>
    requires std::is_trivially_copyable_v<T>
Result<T> copy_in(UserIn<T> source) {
    T value;
    auto result = copy_in(&value, source.address(), sizeof(T));
    if (!result) return fail(result.error());
    return value;
}
template <typename T>
    requires std::is_trivially_copyable_v<T>
Result<void> copy_out(UserOut<T> destination, const T& value) {
    return copy_out(destination.address(), &value, sizeof(T));
}
template <typename T>
Result<void> copy_in_array(std::span<T> destination, UserIn<T> source) {
    return copy_in(destination.data(), source.address(), destination.size_bytes());
}
template <typename T>
Result<void> copy_out_array(UserOut<T> destination, std::span<const T> source) {
    return copy_out(destination.address(), source.data(), source.size_bytes());
}

}  // namespace arch
