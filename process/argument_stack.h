// What a new program finds on its stack: strings, argv, envp and the auxiliary vector (System V ABI, 3.4.1). Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <memory>
#include <string_view>

#include "core/result.h"

namespace process {

inline constexpr uint64_t kMaxArgumentString = 131072;  // MAX_ARG_STRLEN, with the NUL

// Bytes that are appended to, never zeroed first.
class ByteBlock {
  public:
    ByteBlock() = default;
    ByteBlock(ByteBlock&& other) noexcept { *this = std::move(other); }
    ByteBlock& operator=(ByteBlock&& other) noexcept;

    // Room for `count` more bytes, which the caller writes. ENOMEM: nothing has changed.
    Result<char*> extend(size_t count);
    const char* data() const { return data_.get(); }
    size_t size() const { return size_; }

  private:
    std::unique_ptr<char[]> data_;
    size_t size_ = 0, capacity_ = 0;
};

// NUL-terminated strings one after the other.
struct StringBlock {
    ByteBlock bytes;
    size_t count = 0;
    // `text` without its NUL. E2BIG: longer than MAX_ARG_STRLEN; ENOMEM.
    Result<void> add(std::string_view text);
    // The first string; empty if there is none.
    std::string_view first() const;
    // The block without its first `skip` strings, after those of `front`. ENOMEM.
    Result<StringBlock> replace_front(const StringBlock& front, size_t skip) const;
};

// Bytes that arguments and environment may take: a quarter of the stack limit, at most 6 MiB, at least 128 KiB
// (execve(2), "Limits on size of arguments and environment").
uint64_t argument_limit(uint64_t stack_limit);

struct AuxiliaryEntry { uint64_t type, value; };
// AT_* of getauxval(3).
inline constexpr uint64_t kAtNull = 0, kAtPhdr = 3, kAtPhent = 4, kAtPhnum = 5, kAtPageSz = 6, kAtBase = 7,
    kAtFlags = 8, kAtEntry = 9, kAtUid = 11, kAtEuid = 12, kAtGid = 13, kAtEgid = 14, kAtPlatform = 15,
    kAtHwCap = 16, kAtClkTck = 17, kAtSecure = 23, kAtRandom = 25, kAtHwCap2 = 26, kAtExecFn = 31,
    kAtSysInfoEhdr = 33, kAtMinSigStkSz = 51;
// Ours: mpk::call_gate(). Programs in ring 3 get none, and `syscall` is what they use.
inline constexpr uint64_t kAtIsoUnikCall = 0x49736f55;  // "UosI"

struct StackRequest {
    uint64_t top = 0;            // page-aligned end of the stack
    uint64_t random_shift = 0;   // bytes left free above everything, for ASLR; 0 to 8191
    const StringBlock* arguments = nullptr;
    const StringBlock* environment = nullptr;
    std::string_view file_name;  // AT_EXECFN
    std::span<const std::byte, 16> random_bytes;
    std::span<const AuxiliaryEntry> auxiliary;  // without kAtExecFn, kAtRandom, kAtPlatform, kAtNull: added here
};

struct StackImage {
    uint64_t stack_pointer = 0;  // address of argc; 16-byte aligned
    uint64_t argument_start = 0, argument_end = 0, environment_start = 0, environment_end = 0;
    ByteBlock bytes;             // from stack_pointer; above them, the stack holds zeros
    size_t auxiliary_offset = 0;  // within bytes
    size_t auxiliary_words = 0;
};

// E2BIG beyond `limit`, ENOMEM.
Result<StackImage> build_stack(const StackRequest& request, uint64_t limit);

}  // namespace process
