#include "mpk/inspect/safe_form.h"

#include <bit>
#include <cstring>

#include "core/panic.h"
#include "mpk/inspect/decoder.h"
#include "mpk/inspect/rewriter.h"
#include "mpk/inspect/sequences.h"

namespace mpk::inspect {

namespace {

bool is_register_form(const Instruction& instruction) { return instruction.raw.modrm.mod == 3; }

// Register of the ModRM byte's r/m field, or of an opcode's low bits.
Register extended(unsigned low, bool high) { return static_cast<Register>(low | (high ? 8 : 0)); }

bool has_rex(const Instruction& instruction) { return (instruction.attributes & ZYDIS_ATTRIB_HAS_REX) != 0; }
bool rex_b(const Instruction& instruction) { return has_rex(instruction) && instruction.raw.rex.B; }
bool rex_w(const Instruction& instruction) { return has_rex(instruction) && instruction.raw.rex.W; }

// Register of the ModRM byte's reg field.
Register named_register(const Instruction& instruction) {
    return extended(instruction.raw.modrm.reg, has_rex(instruction) && instruction.raw.rex.R);
}

bool has_prefix(const Instruction& instruction, uint8_t value) {
    for (unsigned i = 0; i < instruction.raw.prefix_count; i++)
        if (instruction.raw.prefixes[i].value == value) return true;
    return false;
}

uint8_t operand_bytes(const Instruction& instruction) {
    if (rex_w(instruction)) return 8;
    return has_prefix(instruction, 0x66) ? 2 : 4;
}

// A branch: where to, and on what condition. False if this is none.
bool take_branch(const Instruction& instruction, SafeForm& form) {
    const auto& immediate = instruction.raw.imm[0];
    const uint8_t opcode = instruction.opcode;
    if (immediate.is_relative) {
        // The prefix 66 makes Intel's and AMD's processors disagree, unless REX.W overrules it.
        form.value = immediate.value.s;
        if (instruction.opcode_map == ZYDIS_OPCODE_MAP_0F && opcode >= 0x80 && opcode <= 0x8f) {
            form.action = Action::kJump;
            form.condition = opcode & 15;
        } else if (instruction.opcode_map != ZYDIS_OPCODE_MAP_DEFAULT) {
            return false;
        } else if (opcode >= 0x70 && opcode <= 0x7f) {
            form.action = Action::kJump;
            form.condition = opcode & 15;
        } else if (opcode >= 0xe0 && opcode <= 0xe3) {
            form.action = Action::kLoop;
            form.condition = opcode & 3;
            form.memory.address_32bit = has_prefix(instruction, 0x67);
        } else if (opcode == 0xe8) {
            form.action = Action::kCall;
        } else if (opcode == 0xe9 || opcode == 0xeb) {
            form.action = Action::kJump;
            form.condition = kAlways;
        } else {
            return false;  // xbegin
        }
        return !has_prefix(instruction, 0x66) || rex_w(instruction);
    }
    if (instruction.opcode_map != ZYDIS_OPCODE_MAP_DEFAULT) return false;
    if (opcode == 0xc2 || opcode == 0xc3) {
        form.action = Action::kReturn;
        form.value = opcode == 0xc2 ? static_cast<int64_t>(immediate.value.u & 0xffff) : 0;
        return !has_prefix(instruction, 0x66);
    }
    const unsigned group = instruction.raw.modrm.reg;
    if (opcode != 0xff || (group != 2 && group != 4) || has_prefix(instruction, 0x66)) return false;
    form.action = group == 2 ? Action::kCallIndirect : Action::kJumpIndirect;
    if (is_register_form(instruction)) form.target = extended(instruction.raw.modrm.rm, rex_b(instruction));
    else form.memory = memory_operand(instruction);
    return true;
}

// An instruction that only loads a constant or an address, or does nothing. False if this is none.
bool take_constant(const Instruction& instruction, SafeForm& form) {
    const uint8_t opcode = instruction.opcode;
    if (instruction.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY) return false;
    if (instruction.mnemonic == ZYDIS_MNEMONIC_NOP || instruction.mnemonic == ZYDIS_MNEMONIC_ENDBR64) {
        form.action = Action::kNothing;
        return true;
    }
    if (instruction.opcode_map != ZYDIS_OPCODE_MAP_DEFAULT) return false;
    form.operand_bytes = operand_bytes(instruction);
    if (opcode == 0x8d && !is_register_form(instruction)) {
        form.action = Action::kLoadAddress;
        form.target = named_register(instruction);
        form.memory = memory_operand(instruction);
        return true;
    }
    form.action = Action::kLoadConstant;
    form.value = immediate_value(instruction);
    unsigned low;
    if (opcode >= 0xb0 && opcode <= 0xbf) low = opcode & 7;
    else if ((opcode == 0xc6 || opcode == 0xc7) && is_register_form(instruction) && instruction.raw.modrm.reg == 0)
        low = instruction.raw.modrm.rm;
    else return false;
    const bool byte = (opcode >= 0xb0 && opcode <= 0xb7) || opcode == 0xc6;
    if (byte) form.operand_bytes = 1;
    form.target = extended(low, rex_b(instruction));
    if (byte && !has_rex(instruction) && low >= 4) {
        form.high_byte = true;
        form.target = extended(low - 4, false);
    }
    return true;
}

// A load of a register from memory, or a comparison of memory with a constant. False if this is none.
bool take_read(const Instruction& instruction, SafeForm& form) {
    if (instruction.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY || is_register_form(instruction)) return false;
    if (has_prefix(instruction, 0xf0) || has_prefix(instruction, 0xf2) || has_prefix(instruction, 0xf3)) return false;
    const uint8_t opcode = instruction.opcode;
    form.operand_bytes = operand_bytes(instruction);
    if (instruction.opcode_map == ZYDIS_OPCODE_MAP_0F && (opcode == 0xb6 || opcode == 0xb7)) {
        form.action = Action::kLoad;
        form.memory_bytes = opcode == 0xb6 ? 1 : 2;
    } else if (instruction.opcode_map != ZYDIS_OPCODE_MAP_DEFAULT) {
        return false;
    } else if (opcode == 0x8b) {
        form.action = Action::kLoad;
        form.memory_bytes = form.operand_bytes;
    } else if ((opcode == 0x80 || opcode == 0x81 || opcode == 0x83) && instruction.raw.modrm.reg == 7) {
        form.action = Action::kCompare;
        if (opcode == 0x80) form.operand_bytes = 1;
        form.value = immediate_value(instruction);
    } else {
        return false;
    }
    if (form.action == Action::kLoad) form.target = named_register(instruction);
    form.memory = memory_operand(instruction);
    return true;
}

// Instructions whose meaning depends on where they stand, beside branches and RIP-relative operands.
bool stays_where_it_is(const Instruction& instruction) {
    switch (instruction.mnemonic) {
        case ZYDIS_MNEMONIC_SYSCALL:
        case ZYDIS_MNEMONIC_SYSENTER:
        case ZYDIS_MNEMONIC_INT:
        case ZYDIS_MNEMONIC_INT1:
        case ZYDIS_MNEMONIC_INT3:
        case ZYDIS_MNEMONIC_XBEGIN:
        case ZYDIS_MNEMONIC_XABORT:
        case ZYDIS_MNEMONIC_XEND: return true;
        default: break;
    }
    // mov ss: the next instruction is executed before an interrupt, so the step would not end where it should.
    return instruction.mnemonic == ZYDIS_MNEMONIC_MOV && instruction.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT &&
           instruction.opcode == 0x8e;
}

bool condition_holds(unsigned condition, uint64_t flags) {
    const bool carry = flags & 1, parity = flags & 4, zero = flags & 0x40, sign = flags & 0x80, overflow = flags & 0x800;
    bool holds = true;
    switch (condition >> 1) {
        case 0: holds = overflow; break;
        case 1: holds = carry; break;
        case 2: holds = zero; break;
        case 3: holds = carry || zero; break;
        case 4: holds = sign; break;
        case 5: holds = parity; break;
        case 6: holds = sign != overflow; break;
        case 7: holds = zero || sign != overflow; break;
        default: return true;  // kAlways
    }
    return holds != ((condition & 1) != 0);
}

// The flags of `left - right` (SDM vol. 1, 3.4.3.1), both of so many bytes, in place of those in `flags`.
uint64_t flags_of_compare(uint64_t left, uint64_t right, unsigned bytes, uint64_t flags) {
    constexpr uint64_t kCarry = 1, kParity = 4, kAdjust = 0x10, kZero = 0x40, kSign = 0x80, kOverflow = 0x800;
    const unsigned top = bytes * 8 - 1;
    const uint64_t mask = ~uint64_t{0} >> (63 - top);
    left &= mask;
    right &= mask;
    const uint64_t difference = (left - right) & mask;
    flags &= ~(kCarry | kParity | kAdjust | kZero | kSign | kOverflow);
    if (left < right) flags |= kCarry;
    if (std::popcount(difference & 0xff) % 2 == 0) flags |= kParity;
    flags |= (left ^ right ^ difference) & kAdjust;
    if (difference == 0) flags |= kZero;
    if (difference >> top & 1) flags |= kSign;
    if (((left ^ right) & (left ^ difference)) >> top & 1) flags |= kOverflow;
    return flags;
}

void write_register(const SafeForm& form, Registers& registers, uint64_t value) {
    uint64_t& target = registers[form.target];
    switch (form.operand_bytes) {
        case 8: target = value; break;
        case 4: target = static_cast<uint32_t>(value); break;
        case 2: target = (target & ~uint64_t{0xffff}) | (value & 0xffff); break;
        default: {
            unsigned shift = form.high_byte ? 8 : 0;
            target = (target & ~(uint64_t{0xff} << shift)) | (value & 0xff) << shift;
        }
    }
}

uint64_t segment_base(const MemoryOperand& operand, const Registers& registers) {
    switch (operand.segment) {
        case MemoryOperand::Segment::kFs: return registers.fs_base;
        case MemoryOperand::Segment::kGs: return registers.gs_base;
        case MemoryOperand::Segment::kNone: break;
    }
    return 0;
}

// LOOPNE, LOOPE, LOOP, JRCXZ by the opcode's low two bits. Counts RCX down for the first three.
bool loop_taken(const SafeForm& form, Registers& registers) {
    uint64_t mask = form.memory.address_32bit ? 0xffff'ffff : ~uint64_t{0};
    uint64_t& rcx = registers[Register::kRcx];
    if (form.condition == 3) return (rcx & mask) == 0;
    rcx = (rcx - 1) & mask;  // a 32-bit counter clears the upper half, as 32-bit results do
    const bool zero = registers.flags & 0x40;
    if (rcx == 0) return false;
    return form.condition == 2 || (form.condition == 1) == zero;
}

}  // namespace

std::optional<SafeForm> safe_form(std::span<const std::byte> bytes) {
    Instruction instruction;
    if (!decode(bytes, instruction)) return std::nullopt;
    if (powerful_kind(instruction) || stays_where_it_is(instruction)) return std::nullopt;
    SafeForm form;
    form.length = instruction.length;
    if (take_branch(instruction, form)) return form;
    if (instruction.raw.imm[0].is_relative || !flow_of(instruction).falls_through) return std::nullopt;
    if (instruction.mnemonic == ZYDIS_MNEMONIC_CALL) return std::nullopt;
    form = {};
    form.length = instruction.length;
    if (take_constant(instruction, form)) return form;
    form = {};
    form.length = instruction.length;
    if (take_read(instruction, form)) return form;
    form = {};
    form.length = instruction.length;
    form.action = Action::kStep;
    if (!rewrite_without_sequences(bytes.first(instruction.length), instruction, form)) return std::nullopt;
    return form;
}

uint64_t effective_address(const MemoryOperand& operand, const Registers& registers, uint64_t next) {
    uint64_t address = static_cast<uint64_t>(operand.displacement);
    if (operand.rip_relative) address += next;
    if (operand.base != Register::kNone) address += registers[operand.base];
    if (operand.index != Register::kNone) address += registers[operand.index] * operand.scale;
    return operand.address_32bit ? static_cast<uint32_t>(address) : address;
}

uint64_t scratch_value(const SafeForm& form, unsigned i, const Registers& registers) {
    switch (form.scratch[i].holds) {
        case Scratch::Holds::kAddress: return effective_address(form.memory, registers, registers.rip + form.length);
        case Scratch::Holds::kImmediate: return static_cast<uint64_t>(form.value);
        case Scratch::Holds::kNothing: break;
    }
    return 0;
}

Result<void> apply(const SafeForm& form, Registers& registers, Memory& memory) {
    const uint64_t next = registers.rip + form.length;
    auto read_operand = [&](unsigned bytes) {
        uint64_t address = effective_address(form.memory, registers, next) + segment_base(form.memory, registers);
        return memory.read(address, bytes);
    };
    auto indirect_target = [&]() -> Result<uint64_t> {
        if (form.target != Register::kNone) return registers[form.target];
        return read_operand(8);
    };
    auto push_return_address = [&]() -> Result<void> {
        TRY(memory.write64(registers[Register::kRsp] - 8, next));
        registers[Register::kRsp] -= 8;
        return {};
    };
    switch (form.action) {
        case Action::kJump:
            registers.rip = condition_holds(form.condition, registers.flags) ? next + form.value : next;
            return {};
        case Action::kLoop:
            registers.rip = loop_taken(form, registers) ? next + form.value : next;
            return {};
        case Action::kCall:
            TRY(push_return_address());
            registers.rip = next + form.value;
            return {};
        case Action::kJumpIndirect:
            registers.rip = TRY(indirect_target());
            return {};
        case Action::kCallIndirect: {
            uint64_t target = TRY(indirect_target());
            TRY(push_return_address());
            registers.rip = target;
            return {};
        }
        case Action::kReturn:
            registers.rip = TRY(memory.read(registers[Register::kRsp], 8));
            registers[Register::kRsp] += 8 + form.value;
            return {};
        case Action::kLoadConstant: write_register(form, registers, static_cast<uint64_t>(form.value)); break;
        case Action::kLoadAddress:
            write_register(form, registers, effective_address(form.memory, registers, next));
            break;
        case Action::kLoad: write_register(form, registers, TRY(read_operand(form.memory_bytes))); break;
        case Action::kCompare:
            registers.flags = flags_of_compare(TRY(read_operand(form.operand_bytes)), static_cast<uint64_t>(form.value),
                                               form.operand_bytes, registers.flags);
            break;
        case Action::kNothing: break;
        case Action::kStep: PANIC("a step is executed, not emulated");
    }
    registers.rip = next;
    return {};
}

}  // namespace mpk::inspect
