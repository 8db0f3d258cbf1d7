// Zydis as the inspection uses it: one instruction of 64-bit code, and what it does to control flow and to the machine.
// Only sources of mpk/inspect include this.
#pragma once

#include <Zydis/Decoder.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "mpk/inspect/code_map.h"

namespace mpk::inspect {

using Instruction = ZydisDecodedInstruction;

// The instruction that `bytes` begin with. False if they begin with none, or end before it does.
bool decode(std::span<const std::byte> bytes, Instruction& instruction);

// The kind of site that an instruction is by itself: one of ring 0, WRPKRU or POPF.
std::optional<SiteKind> powerful_kind(const Instruction& instruction);

// Where control flow goes.
struct Flow {
    bool falls_through = true;
    bool has_target = false;
    int64_t target = 0;  // distance from the end of the instruction
};
Flow flow_of(const Instruction& instruction);

}  // namespace mpk::inspect
