#include "arch/x86_64/user_copy.h"

#include <atomic>

#include "arch/x86_64/exception_fixup.h"
#include "core/weakness.h"
#include "arch/x86_64/pkru.h"

namespace arch {

namespace {

// SAFETY: the user operand lies below kUserEnd (checked by the callers), so a bad address can only raise a
// page fault, and every instruction here that may fault has an entry in .fixup.
bool copy_words_and_bytes(void* destination, const void* source, size_t size) {
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

Result<size_t> copy_in_string(char* destination, UserAddr source, size_t capacity) {
    size_t length = 0;
    while (length < capacity) {
        if (!in_user_range(source + length, 1)) return fail(Errno::kFault);
        bool failed = true;
        ProgramKeys keys;
        char byte;
        asm volatile(
            "1: movb (%[from]), %[byte]\n"
            "   movb $0, %[failed]\n"
            "2:\n" FIXUP(1b, 2b)
            : [failed] "+&q"(failed), [byte] "=&q"(byte)
            : [from] "r"(source.value() + length)
            : "memory");
        if (failed) return fail(Errno::kFault);
        destination[length] = byte;
        if (byte == '\0') return length;
        length++;
    }
    return fail(Errno::kNameTooLong);
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
