// Other encodings of an instruction: its memory operand reduced to [scratch], its immediate taken from a register.
#pragma once

#include "mpk/inspect/decoder.h"
#include "mpk/inspect/safe_form.h"

namespace mpk::inspect {

// The memory operand of an instruction with a ModRM byte that is not a register form.
MemoryOperand memory_operand(const Instruction& instruction);

// The (first) immediate, sign-extended from its size.
int64_t immediate_value(const Instruction& instruction);

// Fills `form.bytes`, `size`, `scratch`, `memory` and `value` with an encoding that has no forbidden sequence and does not
// depend on where it stands: the original bytes where that is so. False if no known rewriting helps.
bool rewrite_without_sequences(std::span<const std::byte> bytes, const Instruction& instruction, SafeForm& form);

}  // namespace mpk::inspect
