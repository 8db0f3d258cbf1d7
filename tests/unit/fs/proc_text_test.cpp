// Texts of /proc: padding, lists, lines of maps.
#include <gtest/gtest.h>

#include "fs/proc/process_files.h"

namespace {

using namespace fs::proc;

TEST(ProcText, Numbers) {
    Text text;
    (text << "a " << -5 << ' ' << 7u << ' ').decimal(42, 8) << ' ';
    text.hex(0xab, 8) << ' ';
    text.hex(0);
    EXPECT_EQ(text.view(), "a -5 7       42 000000ab 0");
}

TEST(ProcText, FixedTextStops) {
    Text text(Text::Growth::kFixed);
    ASSERT_TRUE(text.reserve(8));
    text << "12345678";
    EXPECT_FALSE(text.overflowed());
    text << 'x';
    EXPECT_TRUE(text.overflowed());
    EXPECT_EQ(text.size(), 8u);
}

// So that the next try has room at once.
TEST(ProcText, FixedTextCountsWhatDidNotFit) {
    Text whole, part(Text::Growth::kFixed);
    ASSERT_TRUE(part.reserve(100));
    auto write = [](Text& text) {
        for (int i = 0; i < 10; i++) {
            append_map_line(text, {{UserAddr(0x7f0000000000), UserAddr(0x7f0000001000)}, {true, true, false},
                                   mm::Sharing::kShared, 0, 0, 0, "/a/name"});
            size_t line = text.length();
            (text << "x").pad_line(line, 12).decimal(123, 40) << '\n';
        }
    };
    write(whole);
    write(part);
    EXPECT_EQ(whole.length(), whole.size());
    EXPECT_TRUE(part.overflowed());
    EXPECT_EQ(part.length(), whole.size());
    EXPECT_LE(part.size(), 100u);
}

TEST(ProcText, ProcessorLists) {
    auto list = [](uint64_t mask) {
        Text text;
        append_list(text, mask);
        return std::string(text.view());
    };
    EXPECT_EQ(list(0b1), "0");
    EXPECT_EQ(list(0b11), "0-1");
    EXPECT_EQ(list(0b101101), "0,2-3,5");
    EXPECT_EQ(list(~0ull), "0-63");
}

TEST(ProcText, MapLineLooksAsInLinux) {
    Text text;
    append_map_line(text, {{UserAddr(0x55d0c8a4b000), UserAddr(0x55d0c8a4d000)}, {true, false, true}, mm::Sharing::kPrivate,
                           0x2000, 0x801, 1835, "/usr/bin/cat"});
    EXPECT_EQ(text.view(), "55d0c8a4b000-55d0c8a4d000 r-xp 00002000 08:01 1835                       /usr/bin/cat\n");
    text.clear();
    append_map_line(text, {{UserAddr(0x7f0000000000), UserAddr(0x7f0000001000)}, {true, true, false}, mm::Sharing::kShared,
                           0, 0, 0, ""});
    EXPECT_EQ(text.view(), "7f0000000000-7f0000001000 rw-s 00000000 00:00 0 \n");
}

TEST(ProcText, NumbersOfDirectories) {
    EXPECT_EQ(parse_number("12"), 12);
    EXPECT_EQ(parse_number("0"), 0);
    EXPECT_EQ(parse_number("01"), -1);
    EXPECT_EQ(parse_number(""), -1);
    EXPECT_EQ(parse_number("1x"), -1);
    EXPECT_EQ(parse_number("99999999999"), -1);
}

}  // namespace
