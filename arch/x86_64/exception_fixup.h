// Instructions of the kernel that may fault on a program's memory, and where to go on if they do.
#pragma once

#include <cstdint>

// Within an asm statement: a fault at label `from` continues at label `to`.
#define FIXUP(from, to) ".pushsection .fixup, \"a\"\n .quad " #from ", " #to "\n .popsection\n"

namespace arch {

// The continuation of a faulting kernel instruction, or 0 if none was foreseen.
uint64_t fixup_of(uint64_t rip);

}  // namespace arch
