#include "process/argument_stack.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "mm_host.h"

using namespace process;

namespace {

constexpr uint64_t kTop = 0x7fff'0000'0000;
const std::byte kRandom[16] = {std::byte{1}, std::byte{2}};

StringBlock block(const std::vector<std::string>& strings) {
    StringBlock result;
    for (const auto& text : strings) EXPECT_TRUE(result.add(text));
    return result;
}

StackRequest request_for(const StringBlock& arguments, const StringBlock& environment,
                         std::span<const AuxiliaryEntry> auxiliary = {}, uint64_t shift = 0) {
    return {kTop, shift, &arguments, &environment, "/bin/program", kRandom, auxiliary};
}

// Reads the image as a program does.
struct Reader {
    const StackImage& image;
    uint64_t word(uint64_t address) const {
        uint64_t value;
        std::memcpy(&value, at(address), 8);
        return value;
    }
    std::string text(uint64_t address) const { return at(address); }
    const char* at(uint64_t address) const {
        EXPECT_GE(address, image.stack_pointer);
        EXPECT_LT(address, kTop);
        return image.bytes.data() + (address - image.stack_pointer);
    }
};

TEST(ArgumentStack, IsWhatTheAbiSays) {
    StringBlock arguments = block({"program", "", "two words"}), environment = block({"A=1", "PATH=/bin"});
    const AuxiliaryEntry auxiliary[] = {{kAtPageSz, 4096}, {kAtEntry, 0x401000}};
    for (uint64_t shift : {0, 16, 4096, 8176}) {
        auto image = build_stack(request_for(arguments, environment, auxiliary, shift), 1 << 20);
        ASSERT_TRUE(image);
        Reader reader{*image};
        uint64_t at = image->stack_pointer;
        EXPECT_EQ(at % 16, 0u);
        EXPECT_EQ(image->bytes.size(), kTop - shift - at);
        EXPECT_EQ(reader.word(at), 3u);
        EXPECT_EQ(reader.text(reader.word(at + 8)), "program");
        EXPECT_EQ(reader.text(reader.word(at + 16)), "");
        EXPECT_EQ(reader.text(reader.word(at + 24)), "two words");
        EXPECT_EQ(reader.word(at + 32), 0u);
        EXPECT_EQ(reader.text(reader.word(at + 40)), "A=1");
        EXPECT_EQ(reader.text(reader.word(at + 48)), "PATH=/bin");
        EXPECT_EQ(reader.word(at + 56), 0u);
        EXPECT_EQ(image->auxiliary_offset, 64u);
        EXPECT_EQ(reader.word(at + 64), kAtPageSz);
        EXPECT_EQ(reader.word(at + 72), 4096u);
        std::vector<uint64_t> values(64);
        uint64_t pair = at + 64;
        for (; reader.word(pair) != kAtNull; pair += 16) values[reader.word(pair)] = reader.word(pair + 8);
        EXPECT_EQ((pair + 16 - at - 64) / 8, image->auxiliary_words);
        EXPECT_EQ(reader.text(values[kAtExecFn]), "/bin/program");
        EXPECT_EQ(reader.text(values[kAtPlatform]), "x86_64");
        EXPECT_EQ(std::memcmp(reader.at(values[kAtRandom]), kRandom, 16), 0);
        EXPECT_EQ(image->argument_end - image->argument_start, arguments.bytes.size());
        EXPECT_EQ(image->environment_start, image->argument_end);
        EXPECT_EQ(reader.word(kTop - shift - 8), 0u);
    }
}

// Between the parts lies nothing of the kernel's memory.
TEST(ArgumentStack, GapsAreZero) {
    for (size_t length = 1; length < 20; length++) {
        { ByteBlock dirt; std::memset(*dirt.extend(4096), 0xee, 4096); }
        StringBlock arguments = block({std::string(length, 'a')}), none;
        auto image = build_stack(request_for(arguments, none), 1 << 20);
        ASSERT_TRUE(image);
        for (size_t i = 0; i < image->bytes.size(); i++) {
            ASSERT_NE(image->bytes.data()[i], '\xee') << length;
            ASSERT_NE(image->bytes.data()[i], '\xbe') << length;  // AddressSanitizer's fresh memory
        }
        for (uint64_t at = image->argument_start - 1; at % 16 != 15; at--) {
            char byte = image->bytes.data()[at - image->stack_pointer];
            ASSERT_TRUE(byte == 0 || std::strchr("x86_64", byte)) << length;
        }
    }
}

TEST(ArgumentStack, WorksWithoutAnyStrings) {
    StringBlock none;
    auto image = build_stack(request_for(none, none), 1 << 20);
    ASSERT_TRUE(image);
    Reader reader{*image};
    EXPECT_EQ(reader.word(image->stack_pointer), 0u);
    EXPECT_EQ(reader.word(image->stack_pointer + 8), 0u);
    EXPECT_EQ(reader.word(image->stack_pointer + 16), 0u);
}

TEST(ArgumentStack, HasLinuxLimits) {
    EXPECT_EQ(argument_limit(8 << 20), 2u << 20);
    EXPECT_EQ(argument_limit(1 << 30), 6u << 20);
    EXPECT_EQ(argument_limit(4096), 131072u);
    EXPECT_EQ(argument_limit(~0ull), 6u << 20);

    StringBlock longest;
    EXPECT_TRUE(longest.add(std::string(kMaxArgumentString - 1, 'x')));
    EXPECT_EQ(longest.add(std::string(kMaxArgumentString, 'x')).error(), Errno::k2Big);
    EXPECT_EQ(longest.count, 1u);

    StringBlock none, one = block({"12345"});
    uint64_t size = 6 + std::strlen("/bin/program") + 1 + 8;
    EXPECT_TRUE(build_stack(request_for(one, none), size));
    EXPECT_EQ(build_stack(request_for(one, none), size - 1).error(), Errno::k2Big);
}

TEST(ArgumentStack, ReplacesTheFrontForScripts) {
    StringBlock arguments = block({"script", "a", "b"});
    auto replaced = arguments.replace_front(block({"/bin/sh", "-e", "./script"}), 1);
    ASSERT_TRUE(replaced);
    EXPECT_EQ(replaced->count, 5u);
    const char expected[] = "/bin/sh\0-e\0./script\0a\0b";
    ASSERT_EQ(replaced->bytes.size(), sizeof(expected));
    EXPECT_EQ(std::memcmp(replaced->bytes.data(), expected, sizeof(expected)), 0);
    EXPECT_EQ(StringBlock().replace_front(block({"x"}), 1)->count, 1u);
}

TEST(ArgumentStack, SurvivesMissingMemory) {
    auto body = [] {
        StringBlock arguments, environment;
        if (!arguments.add("program") || !environment.add("A=1")) return false;
        return build_stack(request_for(arguments, environment), 1 << 20).has_value();
    };
    EXPECT_EQ(test_support::fail_each_allocation(body), 3u);
}

}  // namespace
