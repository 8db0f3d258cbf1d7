// Maps validated ELF images into an address space.
#pragma once

#include "process/elf.h"
#include "process/exec.h"

namespace process {

struct LoadedImage {
    uint64_t bias = 0;
    uint64_t entry = 0;           // in memory
    uint64_t header_address = 0;  // program headers in memory
    uint64_t low = 0, high = 0;
    uint64_t end_of_bss = 0;
    uint64_t start_code = 0, end_code = 0, start_data = 0, end_data = 0;
};

// Reads and checks a program file's headers. ENOEXEC, EINVAL, ENOMEM.
Result<elf::Image> read_image(const ExecutableFile& file);
// Maps all segments. A position-independent image goes to `base`, or where the space finds room if `base` is 0.
Result<LoadedImage> load_image(mm::AddressSpace& space, const ExecutableFile& file, const elf::Image& image,
                               uint64_t base);

}  // namespace process
