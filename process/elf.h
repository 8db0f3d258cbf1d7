// Reading ELF files (elf(5), System V ABI). Pure: works on bytes, so that broken files can be tested on the host.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/result.h"
#include "core/vector.h"

namespace process::elf {

struct FileHeader {  // Elf64_Ehdr
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, program_headers, section_headers;
    uint32_t flags;
    uint16_t header_size, program_header_size, program_header_count, section_header_size, section_header_count,
        section_names;
};
static_assert(sizeof(FileHeader) == 64);

struct ProgramHeader {  // Elf64_Phdr
    uint32_t type, flags;
    uint64_t offset, address, physical, file_size, memory_size, alignment;
};
static_assert(sizeof(ProgramHeader) == 56);

inline constexpr uint16_t kTypeExecutable = 2, kTypeShared = 3, kMachineX86_64 = 62;
inline constexpr uint32_t kLoad = 1, kInterpreter = 3, kProgramHeaders = 6, kGnuStack = 0x6474e551;
inline constexpr uint32_t kFlagExecute = 1, kFlagWrite = 2, kFlagRead = 4;

// A part of the file that becomes memory: validated, page-rounded.
struct Segment {
    uint64_t address;      // as in the file, page-aligned down
    uint64_t file_offset;  // page-aligned down
    uint64_t file_bytes;   // from file_offset; 0: only zeros
    uint64_t memory_end;   // exact end of the zero-filled part
    uint64_t file_end;     // address of the first byte past the file's part
    uint32_t flags;
};

struct Image {
    bool position_independent = false;
    uint64_t entry = 0;
    uint64_t low = 0, high = 0;      // page-rounded extent of all segments
    uint64_t alignment = 0;          // the largest of the segments, at least a page
    uint64_t header_address = 0;     // of the program headers in memory; 0: not loaded
    uint64_t header_count = 0;
    core::Vector<Segment> segments;
    uint64_t interpreter_offset = 0, interpreter_size = 0;  // size counts the NUL; 0: none
    bool executable_stack = false;
};

inline constexpr size_t kMaxProgramHeaders = 65536 / sizeof(ProgramHeader);

// True if the first bytes are those of any ELF file.
bool has_magic(std::span<const std::byte> start);
// Checks the file header. ENOEXEC: not a program for this machine.
Result<FileHeader> parse_header(std::span<const std::byte> start);
// Checks the program headers of a file of `file_size` bytes. ENOEXEC: malformed; EINVAL: addresses that no program
// can have; ENOMEM.
Result<Image> parse(const FileHeader& header, std::span<const ProgramHeader> headers, uint64_t file_size);

}  // namespace process::elf
