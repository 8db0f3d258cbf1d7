#include "arch/x86_64/user_copy.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "arch/x86_64/exception_fixup.h"
#include "core/weakness.h"
#include "arch/x86_64/pkru.h"

namespace arch {

namespace {

// SAFETY: the user operand lies below kUserEnd (checked by the callers), so a bad address can only raise a
// page fault, and every instruction here that may fault has an entry in .fixup.
[[gnu::always_inline]] inline bool copy_words_and_bytes(void* destination, const void* source, size_t size) {
    bool failed = true;
    ProgramKeys keys;
    size_t words = size / 8, bytes = size % 8;
    asm volatile(
        "1: rep movsq\n"
        "   movq %[bytes], %%rcx\n"
        "2: rep movsb\n"
        "   movb $0, %[failed]\n"
        "3:\n" FIXUP(1b, 3b) FIXUP(2b, 3b)
        : [failed] "+&q"(failed), "+D"(destination), "+S"(source), "+c"(words)
        : [bytes] "r"(bytes)
        : "memory");
    return !failed;
}

bool in_user_range(UserAddr address, size_t size) {
    if (core::weakened(core::Weakness::kUserRange)) return true;
    return size <= core::kUserEnd && address.value() <= core::kUserEnd - size;
}

}  // namespace

Result<void> copy_in(void* destination, UserAddr source, size_t size) {
    if (!in_user_range(source, size)) return fail(Errno::kFault);
    if (!copy_words_and_bytes(destination, reinterpret_cast<const void*>(source.value()), size)) {
        return fail(Errno::kFault);
    }
    return {};
}

Result<void> copy_out(UserAddr destination, const void* source, size_t size) {
    if (!in_user_range(destination, size)) return fail(Errno::kFault);
    if (!copy_words_and_bytes(reinterpret_cast<void*>(destination.value()), source, size)) {
        return fail(Errno::kFault);
    }
    return {};
}

Result<void> zero_user(UserAddr destination, size_t size) {
    if (!in_user_range(destination, size)) return fail(Errno::kFault);
    bool failed = true;
    ProgramKeys keys;
    size_t words = size / 8, bytes = size % 8;
    uint64_t at = destination.value();
    asm volatile(
        "1: rep stosq\n"
        "   movq %[bytes], %%rcx\n"
        "2: rep stosb\n"
        "   movb $0, %[failed]\n"
        "3:\n" FIXUP(1b, 3b) FIXUP(2b, 3b)
        : [failed] "+&q"(failed), "+D"(at), "+c"(words)
        : [bytes] "r"(bytes), "a"(0)
        : "memory");
    if (failed) return fail(Errno::kFault);
    return {};
}

namespace {

// One byte or word; false at a fault.
template <typename Word>
bool load(UserAddr from, Word& word) {
    asm goto("1: mov (%[from]), %[word]\n" FIXUP(1b, %l[bad])
             : [word] "=r"(word) : [from] "r"(from.value()) : "memory" : bad);
    return true;
bad:
    return false;
}

// The highest bit of the first zero byte is the lowest bit set (bits above it may be wrong).
constexpr uint64_t zero_bytes(uint64_t word) {
    return (word - 0x0101'0101'0101'0101) & ~word & 0x8080'8080'8080'8080;
}

}  // namespace

Result<size_t> copy_in_string(char* destination, UserAddr source, size_t capacity) {
    if (!in_user_range(source, 1)) return fail(Errno::kFault);
    const size_t limit = std::min<size_t>(capacity, core::kUserEnd - source.value());
    size_t length = 0;
    ProgramKeys keys;
    while (length < limit) {
        UserAddr from = source + length;
        // Words, but not across the end of a page: the string may end before it.
        if (length + 8 <= limit && from.page_offset() <= core::kPageSize - 8) [[likely]] {
            uint64_t word;
            if (!load(from, word)) return fail(Errno::kFault);
            std::memcpy(destination + length, &word, 8);
            if (uint64_t zeros = zero_bytes(word)) return length + static_cast<unsigned>(__builtin_ctzll(zeros)) / 8;
            length += 8;
        } else {
            char byte;
            if (!load(from, byte)) return fail(Errno::kFault);
            destination[length] = byte;
            if (byte == '\0') return length;
            length++;
        }
    }
    return fail(limit < capacity ? Errno::kFault : Errno::kNameTooLong);
}

namespace {

bool is_word_address(UserAddr address) {
    return in_user_range(address, 4) && core::is_aligned(address.value(), 4);
}

}  // namespace

Result<uint32_t> user_load32(UserAddr address) {
    if (!is_word_address(address)) return fail(Errno::kFault);
    bool failed = true;
    ProgramKeys keys;
    uint32_t value;
    asm volatile("1: movl (%[at]), %[value]\n movb $0, %[failed]\n 2:\n" FIXUP(1b, 2b)
                 : [failed] "+&q"(failed), [value] "=&r"(value) : [at] "r"(address.value()) : "memory");
    if (failed) return fail(Errno::kFault);
    return value;
}

Result<uint32_t> user_compare_exchange32(UserAddr address, uint32_t expected, uint32_t desired) {
    if (!is_word_address(address)) return fail(Errno::kFault);
    bool failed = true;
    ProgramKeys keys;
    asm volatile("1: lock cmpxchgl %[desired], (%[at])\n movb $0, %[failed]\n 2:\n" FIXUP(1b, 2b)
                 : [failed] "+&q"(failed), "+&a"(expected)
                 : [at] "r"(address.value()), [desired] "r"(desired) : "memory");
    if (failed) return fail(Errno::kFault);
    return expected;
}

Result<uint32_t> user_exchange32(UserAddr address, uint32_t value) {
    if (!is_word_address(address)) return fail(Errno::kFault);
    bool failed = true;
    ProgramKeys keys;
    asm volatile("1: xchgl %[value], (%[at])\n movb $0, %[failed]\n 2:\n" FIXUP(1b, 2b)
                 : [failed] "+&q"(failed), [value] "+&r"(value) : [at] "r"(address.value()) : "memory");
    if (failed) return fail(Errno::kFault);
    return value;
}

Result<uint32_t> user_fetch_op32(UserAddr address, uint32_t operation, uint32_t operand) {
    auto old = user_load32(address);
    while (old) {
        uint32_t desired;
        switch (operation) {
            case 0: desired = operand; break;
            case 1: desired = *old + operand; break;
            case 2: desired = *old | operand; break;
            case 3: desired = *old & ~operand; break;
            case 4: desired = *old ^ operand; break;
            default: return fail(Errno::kNoSys);
        }
        auto seen = user_compare_exchange32(address, *old, desired);
        if (!seen || *seen == *old) return seen;
        old = seen;
    }
    return old;
}

}  // namespace arch
