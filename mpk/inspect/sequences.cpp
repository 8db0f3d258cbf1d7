#include "mpk/inspect/sequences.h"

#include <bit>
#include <cstring>

namespace mpk::inspect {

namespace {

constexpr uint8_t kEscape = 0x0f;

// Group 6 and 7 and 9: the third byte is a ModRM byte.
Sequence of_group6(uint8_t modrm) {
    unsigned reg = modrm >> 3 & 7;
    return reg == 2 || reg == 3 ? Sequence::kLoadLdtOrTask : Sequence::kNone;
}

Sequence of_group7(uint8_t modrm) {
    unsigned reg = modrm >> 3 & 7;
    if (reg == 6) return Sequence::kLoadStatusWord;
    if (modrm < 0xc0) return reg == 2 || reg == 3 ? Sequence::kLoadTable : Sequence::kNone;
    switch (modrm) {
        case 0xc6: return Sequence::kModelRegister;  // wrmsrns; wrmsrlist, rdmsrlist
        case 0xc8:
        case 0xc9: return Sequence::kMonitor;
        case 0xd1: return Sequence::kSetExtendedState;
        case 0xef: return Sequence::kWritePkru;
        case 0xc0:                                   // enclv
        case 0xc1: case 0xc2: case 0xc3: case 0xc4:  // vmcall, vmlaunch, vmresume, vmxoff
        case 0xc5:                                   // pconfig
        case 0xcc: case 0xcd: case 0xce: case 0xcf:  // tdcall, seamret, seamops, seamcall, encls
        case 0xd4:                                   // vmfunc
        case 0xd8: case 0xd9: case 0xda: case 0xdb:  // vmrun, vmmcall, vmload, vmsave
        case 0xdc: case 0xdd: case 0xde: case 0xdf:  // stgi, clgi, skinit, invlpga
            return Sequence::kVirtualMachine;
        case 0xca: return Sequence::kSystemReturn;  // clac; with a prefix erets and eretu
        default: return Sequence::kNone;
    }
}

Sequence of_group9(uint8_t modrm) {
    return modrm < 0xc0 && (modrm >> 3 & 7) == 3 ? Sequence::kRestoreState : Sequence::kNone;
}

}  // namespace

const char* name_of(Sequence sequence) {
    switch (sequence) {
        case Sequence::kNone: return "none";
        case Sequence::kLoadLdtOrTask: return "lldt or ltr";
        case Sequence::kLoadTable: return "lgdt or lidt";
        case Sequence::kLoadStatusWord: return "lmsw";
        case Sequence::kVirtualMachine: return "vmcall or its like";
        case Sequence::kMonitor: return "monitor or mwait";
        case Sequence::kSetExtendedState: return "xsetbv";
        case Sequence::kWritePkru: return "wrpkru";
        case Sequence::kClearTaskSwitched: return "clts";
        case Sequence::kSystemReturn: return "sysret or its like";
        case Sequence::kInvalidateCaches: return "invd or wbinvd";
        case Sequence::kControlRegister: return "mov cr";
        case Sequence::kDebugRegister: return "mov dr";
        case Sequence::kModelRegister: return "wrmsr or rdmsr";
        case Sequence::kRestoreState: return "xrstors";
    }
    return "none";
}

SequenceMatch sequence_at(std::span<const std::byte> bytes) {
    auto byte = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
    if (bytes.size() < 2 || byte(0) != kEscape) return {};
    auto grouped = [&](Sequence (*of_group)(uint8_t)) -> SequenceMatch {
        if (bytes.size() < 3) return {};
        Sequence sequence = of_group(byte(2));
        return sequence == Sequence::kNone ? SequenceMatch{} : SequenceMatch{sequence, 3};
    };
    switch (byte(1)) {
        case 0x00: return grouped(of_group6);
        case 0x01: return grouped(of_group7);
        case 0xc7: return grouped(of_group9);
        case 0x06: return {Sequence::kClearTaskSwitched, 2};
        case 0x07:
        case 0x35: return {Sequence::kSystemReturn, 2};
        case 0x08:
        case 0x09: return {Sequence::kInvalidateCaches, 2};
        case 0x20:
        case 0x22: return {Sequence::kControlRegister, 2};
        case 0x21:
        case 0x23: return {Sequence::kDebugRegister, 2};
        case 0x30:
        case 0x32: return {Sequence::kModelRegister, 2};
        default: return {};
    }
}

size_t find_sequence(std::span<const std::byte> bytes, size_t from) {
    constexpr uint64_t kOnes = 0x0101'0101'0101'0101, kHighs = kOnes << 7;
    const std::byte* data = bytes.data();
    size_t i = from;
    while (i < bytes.size()) {
        if (bytes.size() - i >= sizeof(uint64_t)) {
            // The lowest byte of `zero` that has its high bit set marks the first escape byte of the word.
            uint64_t word;
            std::memcpy(&word, data + i, sizeof word);
            word ^= kOnes * kEscape;
            uint64_t zero = (word - kOnes) & ~word & kHighs;
            if (zero == 0) {
                i += sizeof word;
                continue;
            }
            i += static_cast<size_t>(std::countr_zero(zero)) / 8;
        }
        if (sequence_at(bytes.subspan(i)).sequence != Sequence::kNone) return i;
        i++;
    }
    return bytes.size();
}

}  // namespace mpk::inspect
