// How an instruction that must not stand in executable memory is carried out elsewhere.
//
// Branches, and instructions that only load a register or compare memory with a constant, are emulated: apply() changes
// the registers. That is one exception; all others take two, as they are stepped: a form of them without any forbidden sequence is put on a page that the kernel alone can write, followed by
// kTrap, and executed there with the program's registers. What holds the sequence (displacement, immediate, a
// RIP-relative address) is handed over in a scratch register, which the program gets back unchanged.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "core/result.h"
#include "mpk/inspect/code_map.h"

namespace mpk::inspect {

// General registers in the order of their encoding.
enum class Register : uint8_t {
    kRax, kRcx, kRdx, kRbx, kRsp, kRbp, kRsi, kRdi, kR8, kR9, kR10, kR11, kR12, kR13, kR14, kR15, kNone
};

// What an instruction sees of the processor. `rip` is the address of the instruction (the site).
struct Registers {
    uint64_t general[16] = {};
    uint64_t rip = 0;
    uint64_t flags = 0;
    uint64_t fs_base = 0, gs_base = 0;

    uint64_t& operator[](Register r) { return general[static_cast<unsigned>(r)]; }
    uint64_t operator[](Register r) const { return general[static_cast<unsigned>(r)]; }
};

// The program's memory.
class Memory {
  public:
    // EFAULT. 1, 2, 4 or 8 bytes, read at once.
    virtual Result<uint64_t> read(uint64_t address, unsigned bytes) = 0;
    virtual Result<void> write64(uint64_t address, uint64_t value) = 0;

  protected:
    ~Memory() = default;
};

struct MemoryOperand {
    Register base = Register::kNone, index = Register::kNone;
    bool rip_relative = false;
    bool address_32bit = false;  // prefix 67: the sum is cut to 32 bits
    uint8_t scale = 1;
    int64_t displacement = 0;
    enum class Segment : uint8_t { kNone, kFs, kGs } segment = Segment::kNone;
};

// Without the segment's base. `next` is the address behind the instruction.
uint64_t effective_address(const MemoryOperand& operand, const Registers& registers, uint64_t next);

inline constexpr uint8_t kAlways = 16;

enum class Action : uint8_t {
    kStep,          // execute `bytes`, then continue behind the site
    kJump,          // jmp rel; `condition` is Jcc's condition code, or kAlways
    kLoop,          // loopne, loope, loop, jrcxz; condition is the opcode's low two bits
    kCall,          // call rel
    kJumpIndirect,  // jmp through `memory`, or `target` if that is a register
    kCallIndirect,
    kReturn,        // ret, ret imm16 (`value`: bytes to drop)
    kLoadConstant,  // mov register, imm
    kLoadAddress,   // lea
    kLoad,          // mov register, memory; movzx: `memory_bytes` are read
    kCompare,       // cmp memory, imm: the flags change
    kNothing,       // nop, endbr64, prefetch
};

struct Scratch {
    Register reg = Register::kNone;
    enum class Holds : uint8_t { kNothing, kAddress, kImmediate } holds = Holds::kNothing;
};

struct SafeForm {
    Action action{};
    uint8_t length = 0;         // of the original instruction
    uint8_t condition = 0;
    uint8_t operand_bytes = 0;  // kLoad*: size of the register written (4 clears the upper half); kCompare: of both sides
    uint8_t memory_bytes = 0;   // kLoad
    bool high_byte = false;     // kLoadConstant: the register is AH, CH, DH or BH
    Register target = Register::kNone;
    MemoryOperand memory;
    int64_t value = 0;  // immediate, branch displacement or bytes to drop
    // kStep:
    std::byte bytes[kLongestInstruction] = {};
    uint8_t size = 0;
    Scratch scratch[2];
};

// The form of the instruction that `instruction` begins with (the file's bytes, up to 15). Nothing if it cannot be
// made safe, or if it is none. Deterministic: inspection and execution get the same answer.
std::optional<SafeForm> safe_form(std::span<const std::byte> instruction);

// Carries out every action but kStep. On success `registers.rip` is where to continue; EFAULT (memory that cannot be
// reached) leaves `registers` unchanged, and the fault is the program's.
Result<void> apply(const SafeForm& form, Registers& registers, Memory& memory);

// kStep: what to load into scratch[i].reg before the step. Its old value is put back after the step, and before
// anybody sees a fault in it.
uint64_t scratch_value(const SafeForm& form, unsigned i, const Registers& registers);

}  // namespace mpk::inspect
