#include "process/elf.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "core/types.h"
#include "mm_host.h"

using namespace process;

namespace {

constexpr uint64_t kFileSize = 0x5000;

struct Sample {
    elf::FileHeader header{};
    std::vector<elf::ProgramHeader> parts;

    Result<elf::Image> parse() const {
        std::byte bytes[sizeof(header)];
        std::memcpy(bytes, &header, sizeof(header));
        elf::FileHeader parsed = TRY(elf::parse_header(bytes));
        return elf::parse(parsed, parts, kFileSize);
    }
};

// What a linker makes of a dynamic position-independent program.
Sample program() {
    Sample sample;
    elf::FileHeader& header = sample.header;
    std::memcpy(header.ident, "\177ELF\2\1\1", 7);
    header.type = elf::kTypeShared;
    header.machine = elf::kMachineX86_64;
    header.version = 1;
    header.entry = 0x1040;
    header.program_headers = 64;
    header.header_size = 64;
    header.program_header_size = 56;
    header.program_header_count = 6;
    sample.parts = {
        {elf::kProgramHeaders, 4, 64, 64, 64, 336, 336, 8},
        {elf::kInterpreter, 4, 0x300, 0x300, 0x300, 0x1c, 0x1c, 1},
        {elf::kLoad, 4, 0, 0, 0, 0x640, 0x640, 0x1000},
        {elf::kLoad, 5, 0x1000, 0x1000, 0x1000, 0x200, 0x200, 0x1000},
        {elf::kLoad, 6, 0x2df0, 0x3df0, 0x3df0, 0x240, 0x1248, 0x1000},
        {elf::kGnuStack, 6, 0, 0, 0, 0, 0, 16},
    };
    return sample;
}

// What the loader relies on, whatever the file says.
void expect_safe(const elf::Image& image) {
    ASSERT_FALSE(image.segments.empty());
    EXPECT_LT(image.low, image.high);
    EXPECT_LE(image.high, core::kUserEnd);
    EXPECT_EQ(image.low % core::kPageSize, 0u);
    EXPECT_EQ(image.alignment & (image.alignment - 1), 0u);
    EXPECT_LE(image.interpreter_size, 4096u);
    if (image.interpreter_size) {
        EXPECT_LE(image.interpreter_offset + image.interpreter_size, kFileSize);
    }
    for (const elf::Segment& segment : image.segments) {
        EXPECT_EQ(segment.address % core::kPageSize, 0u);
        EXPECT_EQ(segment.file_offset % core::kPageSize, 0u);
        EXPECT_GE(segment.address, image.low);
        EXPECT_LE(segment.file_end, segment.memory_end);
        EXPECT_LE(segment.memory_end, image.high);
        EXPECT_LE(segment.file_offset, kFileSize);
        EXPECT_LE(segment.file_bytes, kFileSize - segment.file_offset);
    }
}

const uint64_t kOddValues[] = {0, 1, 2, 3, 4, 7, 8, 55, 57, 63, 64, 0xfff, 0x1000, 0x1001, kFileSize - 1, kFileSize,
                               kFileSize + 1, 0xffff, 0x10000, 0x7fff'ffff, 0x8000'0000, 0xffff'ffff,
                               core::kUserEnd - 1, core::kUserEnd, core::kUserEnd + 1, 1ull << 47, 1ull << 63,
                               ~0ull - 0xfff, ~0ull - 1, ~0ull};

TEST(Elf, ReadsADynamicProgram) {
    auto image = program().parse();
    ASSERT_TRUE(image);
    expect_safe(*image);
    EXPECT_TRUE(image->position_independent);
    EXPECT_EQ(image->entry, 0x1040u);
    EXPECT_EQ(image->low, 0u);
    EXPECT_EQ(image->high, 0x6000u);
    EXPECT_EQ(image->header_address, 64u);
    EXPECT_EQ(image->interpreter_offset, 0x300u);
    EXPECT_EQ(image->interpreter_size, 0x1cu);
    EXPECT_FALSE(image->executable_stack);
    ASSERT_EQ(image->segments.size(), 3u);
    const elf::Segment& data = image->segments[2];
    EXPECT_EQ(data.address, 0x3000u);
    EXPECT_EQ(data.file_offset, 0x2000u);
    EXPECT_EQ(data.file_bytes, 0xdf0u + 0x240u);
    EXPECT_EQ(data.file_end, 0x3df0u + 0x240u);
    EXPECT_EQ(data.memory_end, 0x3df0u + 0x1248u);
}

TEST(Elf, FindsHeadersWithoutPhdrEntry) {
    Sample sample = program();
    sample.parts[0].type = 0;
    auto image = sample.parse();
    ASSERT_TRUE(image);
    EXPECT_EQ(image->header_address, 64u);
}

TEST(Elf, RefusesWhatIsNoProgram) {
    std::byte short_file[10] = {};
    EXPECT_EQ(elf::parse_header(short_file).error(), Errno::kNoExec);
    auto refused = [](auto change) {
        Sample sample = program();
        change(sample.header);
        auto image = sample.parse();
        return !image && image.error() == Errno::kNoExec;
    };
    EXPECT_TRUE(refused([](auto& h) { h.ident[0] = 0; }));
    EXPECT_TRUE(refused([](auto& h) { h.ident[4] = 1; }));   // 32 bits
    EXPECT_TRUE(refused([](auto& h) { h.ident[5] = 2; }));   // big-endian
    EXPECT_TRUE(refused([](auto& h) { h.type = 1; }));       // relocatable
    EXPECT_TRUE(refused([](auto& h) { h.type = 4; }));       // core
    EXPECT_TRUE(refused([](auto& h) { h.machine = 183; }));  // AArch64
    EXPECT_TRUE(refused([](auto& h) { h.program_header_size = 32; }));
    EXPECT_TRUE(refused([](auto& h) { h.program_header_count = 0; }));
    EXPECT_TRUE(refused([](auto& h) { h.program_header_count = 65535; }));
}

TEST(Elf, RefusesSegmentsThatCannotBe) {
    auto error = [](auto change) {
        Sample sample = program();
        change(sample.parts[4]);
        auto image = sample.parse();
        return image ? Errno{} : image.error();
    };
    EXPECT_EQ(error([](auto& p) { p.memory_size = p.file_size - 1; }), Errno::kInval);
    EXPECT_EQ(error([](auto& p) { p.address = core::kUserEnd - 0x210; }), Errno::kInval);
    EXPECT_EQ(error([](auto& p) { p.address = ~0ull - 0x20f; }), Errno::kInval);
    EXPECT_EQ(error([](auto& p) { p.memory_size = ~0ull; }), Errno::kInval);
    EXPECT_EQ(error([](auto& p) { p.file_size = 0x4000; p.memory_size = 0x5000; }), Errno::kNoExec);
    EXPECT_EQ(error([](auto& p) { p.offset = ~0ull - 0x20f; }), Errno::kNoExec);
    EXPECT_EQ(error([](auto& p) { p.offset += 8; }), Errno::kInval);
}

TEST(Elf, RefusesFixedProgramsBelowTheFirstMappableAddress) {
    Sample sample = program();
    sample.header.type = elf::kTypeExecutable;
    EXPECT_EQ(sample.parse().error(), Errno::kPerm);
}

TEST(Elf, RefusesProgramsWithoutSegments) {
    Sample sample = program();
    for (auto& part : sample.parts) part.type = 0;
    EXPECT_EQ(sample.parse().error(), Errno::kNoExec);
}

// Every field of every header takes every odd value: an error, or an image that is safe to load.
TEST(Elf, SurvivesAnyField) {
    auto try_field = [](auto select) {
        for (uint64_t value : kOddValues) {
            Sample sample = program();
            auto& field = select(sample);
            field = static_cast<std::remove_reference_t<decltype(field)>>(value);
            if (auto image = sample.parse()) expect_safe(*image);
        }
    };
    for (int i = 0; i < 16; i++) try_field([i](Sample& s) -> uint8_t& { return s.header.ident[i]; });
    try_field([](Sample& s) -> uint16_t& { return s.header.type; });
    try_field([](Sample& s) -> uint16_t& { return s.header.machine; });
    try_field([](Sample& s) -> uint64_t& { return s.header.entry; });
    try_field([](Sample& s) -> uint64_t& { return s.header.program_headers; });
    try_field([](Sample& s) -> uint16_t& { return s.header.program_header_size; });
    try_field([](Sample& s) -> uint16_t& { return s.header.program_header_count; });
    for (size_t i = 0; i < 6; i++) {
        try_field([i](Sample& s) -> uint32_t& { return s.parts[i].type; });
        try_field([i](Sample& s) -> uint32_t& { return s.parts[i].flags; });
        try_field([i](Sample& s) -> uint64_t& { return s.parts[i].offset; });
        try_field([i](Sample& s) -> uint64_t& { return s.parts[i].address; });
        try_field([i](Sample& s) -> uint64_t& { return s.parts[i].file_size; });
        try_field([i](Sample& s) -> uint64_t& { return s.parts[i].memory_size; });
        try_field([i](Sample& s) -> uint64_t& { return s.parts[i].alignment; });
    }
}

// Pairs of fields of one segment: sums that overflow only together.
TEST(Elf, SurvivesPairsOfFields) {
    uint64_t elf::ProgramHeader::* const fields[] = {&elf::ProgramHeader::offset, &elf::ProgramHeader::address,
                                                    &elf::ProgramHeader::file_size, &elf::ProgramHeader::memory_size};
    for (size_t part = 1; part < 5; part++) {
        for (auto first : fields) {
            for (auto second : fields) {
                for (uint64_t a : kOddValues) {
                    for (uint64_t b : kOddValues) {
                        Sample sample = program();
                        sample.parts[part].*first = a;
                        sample.parts[part].*second = b;
                        if (auto image = sample.parse()) expect_safe(*image);
                    }
                }
            }
        }
    }
}

TEST(Elf, SurvivesMissingMemory) {
    EXPECT_GT(test_support::fail_each_allocation([] { return program().parse().has_value(); }), 0u);
}

}  // namespace
