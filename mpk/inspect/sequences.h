// Byte sequences that ring 0 makes powerful, wherever they stand: an instruction is made of bytes, and control flow
// that was taken over may begin to execute at any of them.
//
// Listed are the encodings of two and three bytes, prefixes not counted (Intel SDM vol. 2, "Opcode map"; AMD64 APM
// vol. 3). One-byte opcodes (in, out, cli, hlt, iret) occur at every turn inside of other instructions; they are
// looked for at instruction boundaries only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace mpk::inspect {

enum class Sequence : uint8_t {
    kNone,
    kLoadLdtOrTask,     // lldt, ltr: 0F 00 /2 /3
    kLoadTable,         // lgdt, lidt: 0F 01 /2 /3 in memory
    kLoadStatusWord,    // lmsw: 0F 01 /6
    kVirtualMachine,    // vmcall, vmlaunch, vmrun, vmmcall, tdcall and their like: 0F 01 with a register form
    kMonitor,           // monitor, mwait: 0F 01 C8 C9
    kSetExtendedState,  // xsetbv: 0F 01 D1
    kWritePkru,         // wrpkru: 0F 01 EF
    kClearTaskSwitched, // clts: 0F 06
    kSystemReturn,      // sysret, sysexit: 0F 07, 0F 35
    kInvalidateCaches,  // invd, wbinvd: 0F 08, 0F 09
    kControlRegister,   // mov to and from CR: 0F 20, 0F 22
    kDebugRegister,     // mov to and from DR: 0F 21, 0F 23
    kModelRegister,     // wrmsr, rdmsr, wrmsrns: 0F 30, 0F 32, 0F 01 C6
    kRestoreState,      // xrstors: 0F C7 /3 in memory
};

// "wrmsr or rdmsr"; for reports.
const char* name_of(Sequence sequence);

// No sequence is longer.
inline constexpr size_t kLongestSequence = 3;

struct SequenceMatch {
    Sequence sequence = Sequence::kNone;
    uint8_t length = 0;
};

// What begins with the first of `bytes`; kNone if nothing, or if `bytes` end before it does.
SequenceMatch sequence_at(std::span<const std::byte> bytes);

// The offset of the first sequence in `bytes` that begins at `from` or behind it and ends within `bytes`;
// bytes.size() if there is none. Some 4 instructions a byte.
size_t find_sequence(std::span<const std::byte> bytes, size_t from = 0);

}  // namespace mpk::inspect
