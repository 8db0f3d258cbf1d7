// User copies on a host: "user memory" is the test's own. Addresses below 64 KiB and above the user half are bad.
#include "arch/x86_64/pkru.h"
#include "arch/x86_64/user_copy.h"

#include <cstring>

namespace arch {

namespace {
bool good(UserAddr address, size_t size) {
    return size == 0 || (address.value() >= core::kUserMmapMin && size <= core::kUserEnd &&
                         address.value() <= core::kUserEnd - size);
}
uint32_t* word(UserAddr address) { return reinterpret_cast<uint32_t*>(address.value()); }
uint32_t pkru = kInitialPkru;
}  // namespace

// The host has keys, and one thread.
bool has_protection_keys() { return true; }
uint32_t program_pkru() { return pkru; }
void set_program_pkru(uint32_t value) { pkru = value; }
void note_program_keys() {}

Result<void> copy_in(void* destination, UserAddr source, size_t size) {
    if (!good(source, size)) return fail(Errno::kFault);
    std::memcpy(destination, reinterpret_cast<const void*>(source.value()), size);
    return {};
}
Result<void> copy_out(UserAddr destination, const void* source, size_t size) {
    if (!good(destination, size)) return fail(Errno::kFault);
    std::memcpy(reinterpret_cast<void*>(destination.value()), source, size);
    return {};
}
Result<void> zero_user(UserAddr destination, size_t size) {
    if (!good(destination, size)) return fail(Errno::kFault);
    std::memset(reinterpret_cast<void*>(destination.value()), 0, size);
    return {};
}
Result<size_t> copy_in_string(char* destination, UserAddr source, size_t capacity) {
    if (!good(source, 1)) return fail(Errno::kFault);
    size_t length = strnlen(reinterpret_cast<const char*>(source.value()), capacity);
    if (length == capacity) return fail(Errno::kNameTooLong);
    std::memcpy(destination, reinterpret_cast<const char*>(source.value()), length + 1);
    return length;
}
Result<uint32_t> user_load32(UserAddr address) {
    if (!good(address, 4)) return fail(Errno::kFault);
    return __atomic_load_n(word(address), __ATOMIC_SEQ_CST);
}
Result<uint32_t> user_compare_exchange32(UserAddr address, uint32_t expected, uint32_t desired) {
    if (!good(address, 4)) return fail(Errno::kFault);
    __atomic_compare_exchange_n(word(address), &expected, desired, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return expected;
}
Result<uint32_t> user_exchange32(UserAddr address, uint32_t value) {
    if (!good(address, 4)) return fail(Errno::kFault);
    return __atomic_exchange_n(word(address), value, __ATOMIC_SEQ_CST);
}

}  // namespace arch
