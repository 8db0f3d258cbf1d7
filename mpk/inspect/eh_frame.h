// Functions by their unwind information (System V ABI, AMD64 supplement, 4.2.4; LSB Core, "Exception Frames").
#pragma once

#include "mpk/inspect/elf_image.h"

namespace mpk::inspect {

struct FunctionRange {
    uint64_t begin = 0, end = 0;  // addresses
};

// Appends the functions that .eh_frame describes, in its order; those outside of executable segments are left out.
// NOEXEC with `refusal` set if it is broken: then nothing in the file can be trusted to say where code is.
Result<void> read_eh_frame(const Reader& file, const ElfImage& image, core::Vector<FunctionRange>& functions,
                           Refusal& refusal);

}  // namespace mpk::inspect
