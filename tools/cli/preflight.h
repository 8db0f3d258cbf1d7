// Checks before a machine is started, where a person can be told more than from inside.
#pragma once

#include <string>
#include <vector>

#include "image/tree.h"

namespace tool {

enum class ProgramCheck { Fine, NotFound };

/// Looks for the first program as execvp(3) does, in PATH of `environment` if it has no slash. Throws Failure that
/// names what is missing if its loader or a library is not in the root.
ProgramCheck check_program(const Tree& root, const std::string& program, const std::vector<std::string>& environment);

/// Throws Failure if a root of this size cannot be run in this much memory.
void check_memory(uint64_t image_bytes, uint64_t memory_bytes);

}  // namespace tool
