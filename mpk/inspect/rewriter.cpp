#include "mpk/inspect/rewriter.h"

#include <cstring>

#include "mpk/inspect/sequences.h"

namespace mpk::inspect {

namespace {

using Bytes = std::span<const std::byte>;

bool is_legacy(const Instruction& i) { return i.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY; }
bool is_vex(const Instruction& i) { return i.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX; }
bool is_evex(const Instruction& i) { return i.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX; }
bool has_rex(const Instruction& i) { return is_legacy(i) && (i.attributes & ZYDIS_ATTRIB_HAS_REX) != 0; }
bool has_modrm(const Instruction& i) { return (i.attributes & ZYDIS_ATTRIB_HAS_MODRM) != 0; }
bool has_memory(const Instruction& i) { return has_modrm(i) && i.raw.modrm.mod != 3; }
bool is_rip_relative(const Instruction& i) { return has_memory(i) && i.raw.modrm.mod == 0 && i.raw.modrm.rm == 5; }

Register extended(unsigned low, bool high) { return static_cast<Register>(low | (high ? 8 : 0)); }
uint8_t low_bits(Register reg) { return static_cast<uint8_t>(reg) & 7; }
bool is_high(Register reg) { return static_cast<unsigned>(reg) >= 8; }

// An instruction taken apart, as far as its parts are exchanged.
struct Parts {
    Bytes prefixes;  // before REX, VEX or EVEX
    bool r = false, x = false, b = false, wide = false, rex = false;  // as REX means them
    uint8_t opcode[3] = {};
    uint8_t opcode_size = 0;
    bool modrm = false;
    uint8_t mod = 0, reg = 0, rm = 0;
    Bytes address;    // SIB byte and displacement
    Bytes immediate;
};

Parts take_apart(Bytes bytes, const Instruction& i) {
    Parts parts;
    size_t begin = i.raw.prefix_count, opcode_at;
    if (is_vex(i)) {
        begin = i.raw.vex.offset;
        opcode_at = begin + i.raw.vex.size;
        // Stored inverted; the two-byte form has no X and B.
        parts.r = !i.raw.vex.R;
        parts.x = i.raw.vex.size == 3 && !i.raw.vex.X;
        parts.b = i.raw.vex.size == 3 && !i.raw.vex.B;
    } else if (is_evex(i)) {
        begin = i.raw.evex.offset;
        opcode_at = begin + 4;
        parts.r = !i.raw.evex.R;
        parts.x = !i.raw.evex.X;
        parts.b = !i.raw.evex.B;
    } else if (has_rex(i)) {
        begin = i.raw.rex.offset;
        opcode_at = begin + 1;
        parts.rex = true;
        parts.wide = i.raw.rex.W;
        parts.r = i.raw.rex.R;
        parts.x = i.raw.rex.X;
        parts.b = i.raw.rex.B;
    } else {
        opcode_at = begin;
    }
    parts.prefixes = bytes.first(begin);
    size_t immediate_at = i.raw.imm[0].size ? i.raw.imm[0].offset : bytes.size();
    size_t opcode_end = has_modrm(i) ? i.raw.modrm.offset : immediate_at;
    parts.opcode_size = static_cast<uint8_t>(opcode_end - opcode_at);
    if (parts.opcode_size > sizeof parts.opcode) parts.opcode_size = 0;  // a displacement without ModRM (A0 to A3)
    std::memcpy(parts.opcode, bytes.data() + opcode_at, parts.opcode_size);
    if (has_modrm(i)) {
        parts.modrm = true;
        parts.mod = i.raw.modrm.mod;
        parts.reg = i.raw.modrm.reg;
        parts.rm = i.raw.modrm.rm;
        parts.address = bytes.subspan(opcode_end + 1, immediate_at - opcode_end - 1);
    }
    parts.immediate = bytes.subspan(immediate_at);
    return parts;
}

// What is written, up to an instruction's longest.
struct Encoding {
    std::byte bytes[kLongestInstruction] = {};
    size_t size = 0;

    void add(uint8_t byte) {
        if (size < sizeof bytes) bytes[size] = std::byte{byte};
        size++;
    }
    void add(Bytes more) {
        for (std::byte byte : more) add(static_cast<uint8_t>(byte));
    }
    // No forbidden sequence in it, nor together with the traps that follow it where it is executed.
    bool is_safe() const {
        if (size == 0 || size > sizeof bytes) return false;
        constexpr size_t kTraps = kLongestSequence - 1;
        std::byte with_traps[kLongestInstruction + kTraps];
        std::memcpy(with_traps, bytes, size);
        for (size_t i = 0; i < kTraps; i++) with_traps[size + i] = kTrap;
        Bytes all(with_traps, size + kTraps);
        return find_sequence(all) == all.size();
    }
};

Encoding put_together(const Parts& parts, Bytes original, const Instruction& i) {
    Encoding out;
    out.add(parts.prefixes);
    if (is_vex(i)) {
        const auto& vex = i.raw.vex;
        out.add(0xc4);
        out.add(static_cast<uint8_t>(!parts.r << 7 | !parts.x << 6 | !parts.b << 5 | vex.m_mmmm));
        out.add(static_cast<uint8_t>(vex.W << 7 | vex.vvvv << 3 | vex.L << 2 | vex.pp));
    } else if (is_evex(i)) {
        Bytes evex = original.subspan(i.raw.evex.offset, 4);
        out.add(evex.first(1));
        out.add(static_cast<uint8_t>((static_cast<uint8_t>(evex[1]) & 0x9f) | !parts.x << 6 | !parts.b << 5));
        out.add(evex.subspan(2));
    } else if (parts.rex || parts.r || parts.x || parts.b) {
        out.add(static_cast<uint8_t>(0x40 | parts.wide << 3 | parts.r << 2 | parts.x << 1 | parts.b));
    }
    for (unsigned n = 0; n < parts.opcode_size; n++) out.add(parts.opcode[n]);
    if (parts.modrm) out.add(static_cast<uint8_t>(parts.mod << 6 | parts.reg << 3 | parts.rm));
    out.add(parts.address);
    out.add(parts.immediate);
    return out;
}

// A byte operation whose register field may mean AH, CH, DH or BH, which a REX prefix would change.
bool names_high_byte_register(const Instruction& i) {
    if (!is_legacy(i) || has_rex(i) || i.raw.modrm.reg < 4) return false;
    const uint8_t op = i.opcode;
    if (i.opcode_map == ZYDIS_OPCODE_MAP_0F) return op == 0xb0 || op == 0xc0;  // cmpxchg, xadd
    if (i.opcode_map != ZYDIS_OPCODE_MAP_DEFAULT) return false;
    return (op < 0x40 && ((op & 7) == 0 || (op & 7) == 2)) || op == 0x84 || op == 0x86 || op == 0x88 || op == 0x8a;
}

// [address] with nothing else. False for operands that are more than an address.
bool replace_address(const Instruction& i, Register address, Parts& parts) {
    const uint8_t op = i.opcode;
    if (!has_memory(i)) return false;
    if (i.opcode_map == ZYDIS_OPCODE_MAP_0F38 && !is_legacy(i) &&
        ((op >= 0x90 && op <= 0x93) || (op >= 0xa0 && op <= 0xa3) || op == 0xc6 || op == 0xc7 || op == 0x4b))
        return false;  // gather, scatter, tiles
    if (i.opcode_map == ZYDIS_OPCODE_MAP_0F && is_legacy(i) && (op == 0x1a || op == 0x1b)) return false;  // bounds
    if (i.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && op == 0x8f) return false;  // pop: the address is formed late
    if (is_evex(i) && i.raw.disp.size == 8) return false;  // in units of the operand's size
    parts.mod = 0;
    parts.rm = low_bits(address);
    parts.b = is_high(address);
    parts.x = false;
    parts.address = {};
    return true;
}

// The immediate from a register: another opcode of the same operation. False if there is none.
bool replace_immediate(const Instruction& i, Register value, Parts& parts) {
    if (!is_legacy(i) || i.opcode_map != ZYDIS_OPCODE_MAP_DEFAULT) return false;
    const uint8_t op = i.opcode, word = op & 1;
    const bool byte_of_register = !word && has_modrm(i) && i.raw.modrm.mod == 3 && i.raw.modrm.rm >= 4 && !has_rex(i);
    auto one_byte = [&](unsigned opcode) {
        parts.opcode[0] = static_cast<uint8_t>(opcode);
        parts.opcode_size = 1;
    };
    auto from_register = [&] {
        parts.reg = low_bits(value);
        parts.r = is_high(value);
    };
    auto with_accumulator = [&] {
        parts.modrm = true;
        parts.mod = 3;
        parts.rm = 0;
        parts.b = parts.x = false;
    };
    if (op == 0x80 || op == 0x81 || op == 0x83) {
        if (byte_of_register) return false;
        one_byte(unsigned{i.raw.modrm.reg} << 3 | word);
        from_register();
    } else if (op < 0x40 && ((op & 7) == 4 || (op & 7) == 5)) {
        one_byte((op & 0x38) | word);
        with_accumulator();
        from_register();
    } else if ((op == 0xf6 || op == 0xf7) && i.raw.modrm.reg <= 1) {
        if (byte_of_register) return false;
        one_byte(0x84 | word);
        from_register();
    } else if (op == 0xa8 || op == 0xa9) {
        one_byte(0x84 | word);
        with_accumulator();
        from_register();
    } else if ((op == 0xc6 || op == 0xc7) && i.raw.modrm.reg == 0 && has_memory(i)) {
        one_byte(0x88 | word);
        from_register();
    } else if (op == 0x68 || op == 0x6a) {
        one_byte(0x50 | low_bits(value));
        parts.b = is_high(value);
    } else if ((op == 0x69 || op == 0x6b) && parts.mod == 3 && parts.reg == parts.rm && parts.r == parts.b) {
        parts.opcode[0] = 0x0f;
        parts.opcode[1] = 0xaf;
        parts.opcode_size = 2;
        parts.rm = low_bits(value);
        parts.b = is_high(value);
    } else {
        return false;
    }
    parts.immediate = {};
    return true;
}

// True if the encoding names the register. Implicit operands are none of R8 to R15 in what gets here, and no RSI or RDI
// in byte operations with a ModRM byte.
bool uses(const Instruction& i, const Parts& parts, Register reg) {
    if (parts.modrm) {
        if (extended(parts.reg, parts.r) == reg) return true;
        if (parts.mod == 3 && extended(parts.rm, parts.b) == reg) return true;
    } else if (parts.opcode_size > 0 && extended(parts.opcode[parts.opcode_size - 1] & 7, parts.b) == reg) {
        return true;
    }
    if (has_memory(i)) {
        MemoryOperand operand = memory_operand(i);
        if (operand.base == reg || operand.index == reg) return true;
    }
    // vvvv is stored inverted.
    if (is_vex(i)) return (~i.raw.vex.vvvv & 15u) == static_cast<unsigned>(reg);
    if (is_evex(i)) return (~i.raw.evex.vvvv & 15u) == static_cast<unsigned>(reg);
    return false;
}

// Registers that can hold an address in a single ModRM byte (RSP, RBP, R12, R13 cannot) and that the instruction leaves
// alone.
unsigned scratch_registers(const Instruction& i, const Parts& parts, Register (&list)[8]) {
    unsigned count = 0;
    if (names_high_byte_register(i)) {
        list[count++] = Register::kRsi;  // without REX: a byte operation cannot name it
        list[count++] = Register::kRdi;
        return count;
    }
    for (Register reg : {Register::kR8, Register::kR9, Register::kR10, Register::kR11, Register::kR14, Register::kR15})
        if (!uses(i, parts, reg)) list[count++] = reg;
    return count;
}

}  // namespace

MemoryOperand memory_operand(const Instruction& i) {
    MemoryOperand operand;
    Parts bits;  // of the extensions only
    bits.x = is_vex(i) ? i.raw.vex.size == 3 && !i.raw.vex.X : is_evex(i) ? !i.raw.evex.X : has_rex(i) && i.raw.rex.X;
    bits.b = is_vex(i) ? i.raw.vex.size == 3 && !i.raw.vex.B : is_evex(i) ? !i.raw.evex.B : has_rex(i) && i.raw.rex.B;
    operand.displacement = i.raw.disp.value;
    operand.address_32bit = i.address_width == 32;
    for (unsigned n = 0; n < i.raw.prefix_count; n++) {
        if (i.raw.prefixes[n].value == 0x64) operand.segment = MemoryOperand::Segment::kFs;
        if (i.raw.prefixes[n].value == 0x65) operand.segment = MemoryOperand::Segment::kGs;
    }
    const uint8_t mod = i.raw.modrm.mod, rm = i.raw.modrm.rm;
    if (rm == 4) {
        if (i.raw.sib.index != 4 || bits.x) operand.index = extended(i.raw.sib.index, bits.x);
        operand.scale = static_cast<uint8_t>(1 << i.raw.sib.scale);
        if (i.raw.sib.base != 5 || mod != 0) operand.base = extended(i.raw.sib.base, bits.b);
    } else if (rm == 5 && mod == 0) {
        operand.rip_relative = true;
    } else {
        operand.base = extended(rm, bits.b);
    }
    return operand;
}

int64_t immediate_value(const Instruction& i) {
    const auto& immediate = i.raw.imm[0];
    if (immediate.size == 0 || immediate.size >= 64) return immediate.value.s;
    const unsigned unused = 64u - immediate.size;
    return static_cast<int64_t>(immediate.value.u << unused) >> unused;
}

bool rewrite_without_sequences(Bytes bytes, const Instruction& i, SafeForm& form) {
    auto accept = [&](const Encoding& encoding) {
        if (!encoding.is_safe()) return false;
        form.size = static_cast<uint8_t>(encoding.size);
        std::memcpy(form.bytes, encoding.bytes, encoding.size);
        return true;
    };
    const bool movable = !is_rip_relative(i);
    if (movable) {
        Encoding same;
        same.add(bytes);
        if (accept(same)) return true;
    }
    if (!is_legacy(i) && !is_vex(i) && !is_evex(i)) return false;
    const Parts original = take_apart(bytes, i);
    if (original.opcode_size == 0) return false;
    Register list[8];
    const unsigned count = scratch_registers(i, original, list);

    for (unsigned a = 0; a < count; a++) {
        Parts with_address = original;
        const bool has_address = replace_address(i, list[a], with_address);
        if (has_address && accept(put_together(with_address, bytes, i))) {
            form.memory = memory_operand(i);
            form.scratch[0] = {list[a], Scratch::Holds::kAddress};
            return true;
        }
        Parts with_immediate = original;
        if (movable && replace_immediate(i, list[a], with_immediate) &&
            accept(put_together(with_immediate, bytes, i))) {
            form.value = immediate_value(i);
            form.scratch[0] = {list[a], Scratch::Holds::kImmediate};
            return true;
        }
        for (unsigned b = 0; has_address && b < count; b++) {
            Parts with_both = with_address;
            if (a == b || !replace_immediate(i, list[b], with_both) || !accept(put_together(with_both, bytes, i)))
                continue;
            form.memory = memory_operand(i);
            form.value = immediate_value(i);
            form.scratch[0] = {list[a], Scratch::Holds::kAddress};
            form.scratch[1] = {list[b], Scratch::Holds::kImmediate};
            return true;
        }
    }
    return false;
}

}  // namespace mpk::inspect
