#include "process/elf.h"

#include <cstring>

#include "core/types.h"

namespace process::elf {

namespace {

// a + b, or false on overflow.
bool add(uint64_t a, uint64_t b, uint64_t& sum) { return !__builtin_add_overflow(a, b, &sum); }

Result<Segment> make_segment(const ProgramHeader& header, uint64_t file_size) {
    uint64_t memory_end, file_end;
    if (header.file_size > header.memory_size) return fail(Errno::kInval);
    if (!add(header.address, header.memory_size, memory_end) || memory_end > core::kUserEnd) {
        return fail(Errno::kInval);
    }
    if (!add(header.offset, header.file_size, file_end) || file_end > file_size) return fail(Errno::kNoExec);
    // File and memory must be congruent, or no page of the file could be mapped (elf(5), p_align).
    if ((header.address & core::kPageMask) != (header.offset & core::kPageMask)) return fail(Errno::kInval);
    Segment segment{};
    uint64_t offset_in_page = header.address & core::kPageMask;
    segment.address = header.address - offset_in_page;
    segment.file_offset = header.offset - offset_in_page;
    segment.file_bytes = header.file_size ? header.file_size + offset_in_page : 0;
    segment.memory_end = memory_end;
    segment.file_end = header.address + header.file_size;
    segment.flags = header.flags;
    return segment;
}

// Where the program headers lie in memory, for AT_PHDR.
uint64_t find_headers(const FileHeader& header, std::span<const ProgramHeader> headers) {
    for (const ProgramHeader& part : headers) {
        if (part.type == kProgramHeaders) return part.address;
    }
    for (const ProgramHeader& part : headers) {
        if (part.type == kLoad && part.offset <= header.program_headers &&
            header.program_headers - part.offset < part.file_size) {
            return part.address + (header.program_headers - part.offset);
        }
    }
    return 0;
}

}  // namespace

bool has_magic(std::span<const std::byte> start) {
    return start.size() >= 4 && std::memcmp(start.data(), "\177ELF", 4) == 0;
}

Result<FileHeader> parse_header(std::span<const std::byte> start) {
    constexpr uint8_t kClass64 = 2, kLittleEndian = 1;
    if (start.size() < sizeof(FileHeader) || !has_magic(start)) return fail(Errno::kNoExec);
    FileHeader header;
    std::memcpy(&header, start.data(), sizeof(header));
    if (header.ident[4] != kClass64 || header.ident[5] != kLittleEndian) return fail(Errno::kNoExec);
    if (header.type != kTypeExecutable && header.type != kTypeShared) return fail(Errno::kNoExec);
    if (header.machine != kMachineX86_64) return fail(Errno::kNoExec);
    if (header.program_header_size != sizeof(ProgramHeader)) return fail(Errno::kNoExec);
    if (header.program_header_count == 0 || header.program_header_count > kMaxProgramHeaders) {
        return fail(Errno::kNoExec);
    }
    return header;
}

Result<Image> parse(const FileHeader& header, std::span<const ProgramHeader> headers, uint64_t file_size) {
    Image image;
    image.position_independent = header.type == kTypeShared;
    image.entry = header.entry;
    image.alignment = core::kPageSize;
    image.low = ~uint64_t{0};
    image.header_count = headers.size();
    for (const ProgramHeader& part : headers) {
        if (part.type == kInterpreter && image.interpreter_size == 0) {
            // PATH_MAX, as fs/binfmt_elf.c.
            uint64_t end;
            if (part.file_size < 2 || part.file_size > 4096) return fail(Errno::kNoExec);
            if (!add(part.offset, part.file_size, end) || end > file_size) return fail(Errno::kIo);
            image.interpreter_offset = part.offset;
            image.interpreter_size = part.file_size;
        }
        if (part.type == kGnuStack) image.executable_stack = part.flags & kFlagExecute;
        if (part.type != kLoad || part.memory_size == 0) continue;
        Segment segment = TRY(make_segment(part, file_size));
        if (segment.address < image.low) image.low = segment.address;
        uint64_t end = core::align_up(segment.memory_end, core::kPageSize);
        if (end > image.high) image.high = end;
        bool power_of_two = part.alignment != 0 && (part.alignment & (part.alignment - 1)) == 0;
        if (power_of_two && part.alignment > image.alignment) image.alignment = part.alignment;
        TRY(image.segments.push_back(segment));
    }
    if (image.segments.empty()) return fail(Errno::kNoExec);
    if (image.high > core::kUserEnd) return fail(Errno::kInval);
    if (!image.position_independent && image.low < core::kUserMmapMin) return fail(Errno::kPerm);
    image.header_address = find_headers(header, headers);
    return image;
}

}  // namespace process::elf
