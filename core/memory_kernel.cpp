// The C functions that the compiler calls, for the kernel. On hosts the C library has them.
#include <cstddef>
#include <cstdint>

extern "C" {

// SAFETY: string instructions on the arguments' ranges; DF is 0 in the kernel (SFMASK and interrupt entry).
void* memcpy(void* destination, const void* source, size_t size) {
    void* result = destination;
    size_t words = size / 8, bytes = size % 8;
    asm volatile("rep movsq" : "+D"(destination), "+S"(source), "+c"(words) : : "memory");
    asm volatile("rep movsb" : "+D"(destination), "+S"(source), "+c"(bytes) : : "memory");
    return result;
}

void* memset(void* destination, int value, size_t size) {
    void* result = destination;
    size_t words = size / 8, bytes = size % 8;
    uint64_t pattern = 0x0101010101010101ull * static_cast<uint8_t>(value);
    asm volatile("rep stosq" : "+D"(destination), "+c"(words) : "a"(pattern) : "memory");
    asm volatile("rep stosb" : "+D"(destination), "+c"(bytes) : "a"(pattern) : "memory");
    return result;
}

void* memmove(void* destination, const void* source, size_t size) {
    auto to = static_cast<char*>(destination);
    auto from = static_cast<const char*>(source);
    if (to <= from || to >= from + size) return memcpy(destination, source, size);
    // Overlap with the destination above: copy downwards, word by word while possible.
    while (size >= 8) {
        size -= 8;
        uint64_t word;
        __builtin_memcpy(&word, from + size, 8);
        __builtin_memcpy(to + size, &word, 8);
    }
    while (size > 0) {
        size--;
        to[size] = from[size];
        asm volatile("" : : : "memory");  // keeps the compiler from turning the loop into memmove
    }
    return destination;
}

int memcmp(const void* left, const void* right, size_t size) {
    auto a = static_cast<const unsigned char*>(left);
    auto b = static_cast<const unsigned char*>(right);
    auto compare_words = [](const unsigned char* at, const unsigned char* other) {
        uint64_t x, y;
        __builtin_memcpy(&x, at, 8);
        __builtin_memcpy(&y, other, 8);
        if (x == y) return 0;
        return __builtin_bswap64(x) < __builtin_bswap64(y) ? -1 : 1;
    };
    if (size >= 8) {
        size_t last = size - 8;  // where the last word begins, which may overlap the one before it
        for (size_t i = 0; i < last; i += 8) {
            if (int order = compare_words(a + i, b + i)) return order;
        }
        return compare_words(a + last, b + last);
    }
    for (; size > 0; size--, a++, b++) {
        if (*a != *b) return *a < *b ? -1 : 1;
    }
    return 0;
}

int bcmp(const void* left, const void* right, size_t size) { return memcmp(left, right, size); }

size_t strlen(const char* text) {
    size_t length = 0;
    while (text[length] != '\0') {
        length++;
        asm volatile("" : : : "memory");  // keeps the compiler from calling strlen
    }
    return length;
}

size_t strnlen(const char* text, size_t limit) {
    size_t length = 0;
    while (length < limit && text[length] != '\0') length++;
    return length;
}

char* strncpy(char* destination, const char* source, size_t size) {
    size_t length = strnlen(source, size);
    memcpy(destination, source, length);
    memset(destination + length, 0, size - length);
    return destination;
}

// libgcc's, for processors without POPCNT.
int __popcountdi2(uint64_t value) {
    int count = 0;
    for (; value; value &= value - 1) count++;
    return count;
}

void* memchr(const void* data, int value, size_t size) {
    auto bytes = static_cast<const unsigned char*>(data);
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == static_cast<unsigned char>(value)) return const_cast<unsigned char*>(bytes + i);
    }
    return nullptr;
}

int strcmp(const char* left, const char* right) {
    while (*left && *left == *right) left++, right++;
    return static_cast<unsigned char>(*left) - static_cast<unsigned char>(*right);
}

int strncmp(const char* left, const char* right, size_t size) {
    for (; size > 0; size--, left++, right++) {
        if (*left != *right) return static_cast<unsigned char>(*left) - static_cast<unsigned char>(*right);
        if (*left == '\0') break;
    }
    return 0;
}

// What the C++ ABI asks for (Itanium C++ ABI 3.2.6, 3.3.6): pure virtual calls, and no destructors at exit.
[[noreturn]] void __cxa_pure_virtual();
int __cxa_atexit(void (*)(void*), void*, void*) { return 0; }
void* __dso_handle = nullptr;
}

#include <new>

#include "core/panic.h"

void __cxa_pure_virtual() { PANIC("pure virtual function called"); }

namespace std {
const nothrow_t nothrow{};
// libstdc++'s checked paths end here.
[[noreturn]] void __throw_length_error(const char* what) { core::panic(__FILE__, __LINE__, what); }
[[noreturn]] void __throw_out_of_range_fmt(const char* what, ...) { core::panic(__FILE__, __LINE__, what); }
[[noreturn]] void __throw_logic_error(const char* what) { core::panic(__FILE__, __LINE__, what); }
[[noreturn]] void __throw_bad_alloc() { PANIC("throwing operator new in the kernel"); }
[[noreturn]] void __throw_bad_array_new_length() { PANIC("bad array length"); }
[[noreturn]] void __throw_bad_function_call() { PANIC("empty std::function called"); }
[[noreturn]] void __glibcxx_assert_fail(const char* file, int line, const char*, const char* condition) noexcept {
    core::panic(file, line, condition);
}
}  // namespace std
