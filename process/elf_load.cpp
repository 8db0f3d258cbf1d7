#include "process/elf_load.h"

#include <cstring>

namespace process {

namespace {

mm::Protection protection_of(uint32_t flags) {
    return {.read = !!(flags & elf::kFlagRead), .write = !!(flags & elf::kFlagWrite),
            .execute = !!(flags & elf::kFlagExecute)};
}

// Room for a whole position-independent image, so that its segments keep their distances.
Result<uint64_t> find_room(mm::AddressSpace& space, uint64_t size, uint64_t alignment) {
    mm::MapRequest request;
    request.size = size + alignment - kPageSize;
    UserAddr start = TRY(space.map(request));
    TRY(space.unmap({start, start + core::align_up(request.size, kPageSize)}));
    return core::align_up(start.value(), alignment);
}

// The zeros between the end of the file's part and the end of its last page.
Result<void> clear_tail(mm::AddressSpace& space, uint64_t from, uint64_t to) {
    static constexpr std::byte kZeros[512] = {};
    while (from < to) {
        uint64_t size = to - from < sizeof(kZeros) ? to - from : sizeof(kZeros);
        TRY(space.write_memory(UserAddr(from), std::span(kZeros, size), true));
        from += size;
    }
    return {};
}

Result<void> load_segment(mm::AddressSpace& space, const ExecutableFile& file, const elf::Segment& segment,
                          uint64_t bias) {
    uint64_t start = segment.address + bias;
    uint64_t file_end = segment.file_bytes ? core::align_up(segment.file_end, kPageSize) + bias : start;
    uint64_t memory_end = core::align_up(segment.memory_end, kPageSize) + bias;
    mm::MapRequest request;
    request.protection = protection_of(segment.flags);
    request.placement = mm::Placement::kFixed;
    if (file_end > start) {
        request.address = UserAddr(start);
        request.size = file_end - start;
        request.object = file.mappable();
        request.offset = segment.file_offset;
        TRY(space.map(request));
        bool has_zeros = segment.memory_end > segment.file_end;
        // As Linux: a read-only segment keeps the file's bytes there.
        if (has_zeros && request.protection.write) {
            TRY(clear_tail(space, segment.file_end + bias, file_end));
        }
    }
    if (memory_end > file_end) {
        request.address = UserAddr(file_end);
        request.size = memory_end - file_end;
        request.object.reset();
        request.offset = 0;
        TRY(space.map(request));
    }
    return {};
}

}  // namespace

Result<elf::Image> read_image(const ExecutableFile& file) {
    elf::FileHeader header = TRY(elf::parse_header(file.head()));
    // Program headers usually follow the file header.
    constexpr size_t kFew = 16;
    elf::ProgramHeader few[kFew];
    core::Vector<elf::ProgramHeader> many;
    std::span<elf::ProgramHeader> headers(few, kFew);
    if (header.program_header_count > kFew) {
        TRY(many.resize(header.program_header_count));
        headers = {many.data(), many.size()};
    }
    headers = headers.first(header.program_header_count);
    size_t size = TRY(file.read(header.program_headers, std::as_writable_bytes(headers)));
    if (size != headers.size_bytes()) return fail(Errno::kNoExec);
    return elf::parse(header, headers, file.size());
}

Result<LoadedImage> load_image(mm::AddressSpace& space, const ExecutableFile& file, const elf::Image& image,
                               uint64_t base) {
    uint64_t extent = image.high - image.low;
    LoadedImage loaded;
    if (image.position_independent) {
        if (base == 0) base = TRY(find_room(space, extent, image.alignment));
        loaded.bias = core::align_up(base, image.alignment) - core::align_down(image.low, image.alignment);
    }
    if (loaded.bias + image.high > core::kUserEnd) return fail(Errno::kNoMem);
    loaded.start_code = ~uint64_t{0};
    for (const elf::Segment& segment : image.segments) {
        TRY(load_segment(space, file, segment, loaded.bias));
        uint64_t start = segment.address + loaded.bias, end = segment.file_end + loaded.bias;
        if (segment.flags & elf::kFlagExecute) {
            if (start < loaded.start_code) loaded.start_code = start;
            if (end > loaded.end_code) loaded.end_code = end;
        }
        if (start > loaded.start_data) loaded.start_data = start;
        if (end > loaded.end_data) loaded.end_data = end;
        if (segment.memory_end + loaded.bias > loaded.end_of_bss) loaded.end_of_bss = segment.memory_end + loaded.bias;
    }
    loaded.low = image.low + loaded.bias;
    loaded.high = image.high + loaded.bias;
    loaded.entry = image.entry + loaded.bias;
    loaded.header_address = image.header_address ? image.header_address + loaded.bias : 0;
    return loaded;
}

}  // namespace process
