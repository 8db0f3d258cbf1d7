// The line discipline as a state machine (termios(3)).
#include "fs/tty/line_discipline.h"

#include <gtest/gtest.h>

#include <string>

namespace {

using namespace fs::tty;

class LineTest : public testing::Test, protected LineOutput {
  protected:
    void emit(uint8_t byte) override { screen += static_cast<char>(byte); }
    void raise(int signal) override { signals.push_back(signal); }
    void discard_output() override { screen.clear(); }
    void set_stopped(bool value) override { stopped = value; }

    void type(std::string_view text) {
        for (char byte : text) line.receive(static_cast<uint8_t>(byte));
    }
    std::string read(size_t size = 1000) {
        std::string text(size, '\0');
        text.resize(line.read(reinterpret_cast<uint8_t*>(text.data()), size, &ended));
        return text;
    }
    std::string take_screen() { return std::exchange(screen, {}); }
    void change(uint32_t clear_local, uint32_t set_local = 0, uint32_t set_input = 0) {
        Termios settings = line.settings();
        settings.local = (settings.local & ~clear_local) | set_local;
        settings.input |= set_input;
        line.set_settings(settings);
    }

    std::string screen;
    std::vector<int> signals;
    bool stopped = false, ended = false;
    LineDiscipline line{*this};
};

TEST_F(LineTest, GivesWholeLines) {
    type("hel");
    EXPECT_FALSE(line.readable());
    type("lo\rnext");
    EXPECT_TRUE(line.readable());
    EXPECT_EQ(line.available(), 6u);
    EXPECT_EQ(read(), "hello\n");
    EXPECT_TRUE(ended);
    EXPECT_FALSE(line.readable());
    EXPECT_EQ(take_screen(), "hello\r\nnext");
}

TEST_F(LineTest, LineIsReadInParts) {
    type("abcdef\n");
    EXPECT_EQ(read(4), "abcd");
    EXPECT_FALSE(ended);
    EXPECT_EQ(read(4), "ef\n");
}

TEST_F(LineTest, EraseWordAndKill) {
    type("one two\x7f\x7f!\n");
    EXPECT_EQ(read(), "one t!\n");
    EXPECT_EQ(take_screen(), "one two\b \b\b \b!\r\n");
    type("one two  \x17" "2\n");
    EXPECT_EQ(read(), "one 2\n");
    type("gone\x15" "stays\n");
    EXPECT_EQ(read(), "stays\n");
    type("\x7f\x7f" "x\n");  // nothing to erase
    EXPECT_EQ(read(), "x\n");
}

TEST_F(LineTest, EraseOfTabAndControl) {
    type("\t\x7f");
    EXPECT_EQ(take_screen(), "\t\b\b\b\b\b\b\b\b");
    type("\x01\x7f");
    EXPECT_EQ(take_screen(), "^A\b \b\b \b");
}

// A tab that was not echoed stands where the columns of the screen do not reach.
TEST_F(LineTest, EraseOfTabThatWasNotEchoed) {
    for (const char* key : {"\x7f", "\x17", "\x15"}) {
        change(kEcho);
        type("abcdefgh\t");
        change(0, kEcho);
        type(key);
        EXPECT_LE(take_screen().size(), 100u);
        type("\x15" "x\n");
        EXPECT_EQ(read(), "x\n");
        take_screen();
    }
}

TEST_F(LineTest, EraseOfUtf8Character) {
    change(0, 0, kIUtf8);
    type("a\xc3\xa4\x7f" "b\n");
    EXPECT_EQ(read(), "ab\n");
    EXPECT_EQ(take_screen(), "a\xc3\xa4\b \bb\r\n");
}

TEST_F(LineTest, EndOfFile) {
    type("part\x04");
    EXPECT_EQ(read(), "part");
    type("\x04");
    EXPECT_TRUE(line.readable());
    EXPECT_EQ(read(), "");
    EXPECT_FALSE(line.readable());
    type("abc\x04");
    EXPECT_EQ(read(3), "abc");  // takes the end of file with it
    EXPECT_TRUE(ended);
    EXPECT_FALSE(line.readable());
}

TEST_F(LineTest, LiteralNext) {
    type("\x16\x03\n");
    EXPECT_EQ(read(), "\x03\n");
    EXPECT_TRUE(signals.empty());
}

TEST_F(LineTest, Signals) {
    type("lost\x03");
    EXPECT_EQ(signals, std::vector<int>{2});
    EXPECT_EQ(screen, "^C");
    type("x\n");
    EXPECT_EQ(read(), "x\n");
    type("\x1c\x1a");
    EXPECT_EQ(signals, (std::vector<int>{2, 3, 20}));
    change(kISig);
    type("\x03\n");
    EXPECT_EQ(read(), "\x03\n");
    EXPECT_EQ(signals.size(), 3u);
}

TEST_F(LineTest, StopAndStart) {
    type("\x13");
    EXPECT_TRUE(stopped);
    type("\x11");
    EXPECT_FALSE(stopped);
    EXPECT_FALSE(line.readable());
}

TEST_F(LineTest, RawGivesBytesAtOnce) {
    change(kICanon | kEcho | kISig);
    type("a\x03\x7f");
    EXPECT_EQ(line.available(), 3u);
    EXPECT_EQ(read(), "a\x03\x7f");
    EXPECT_EQ(screen, "");
}

TEST_F(LineTest, SwitchingModesKeepsWhatWaits) {
    type("part");
    change(kICanon);
    EXPECT_TRUE(line.readable());
    EXPECT_EQ(read(2), "pa");
    change(0, kICanon);
    EXPECT_TRUE(line.readable());
    EXPECT_EQ(read(), "rt");
}

TEST_F(LineTest, OutputProcessing) {
    for (char byte : std::string_view("a\nb\tc\n")) line.write(static_cast<uint8_t>(byte));
    EXPECT_EQ(take_screen(), "a\r\nb\tc\r\n");
    Termios settings = line.settings();
    settings.output |= kXTabs;
    line.set_settings(settings);
    for (char byte : std::string_view("ab\tc")) line.write(static_cast<uint8_t>(byte));
    EXPECT_EQ(take_screen(), "ab      c");
    settings.output = 0;
    line.set_settings(settings);
    line.write('\n');
    EXPECT_EQ(take_screen(), "\n");
}

TEST_F(LineTest, FullLineCanStillBeEnded) {
    type(std::string(5000, 'x'));
    EXPECT_FALSE(line.readable());
    EXPECT_EQ(line.room(), 1u);
    type("\n");
    EXPECT_TRUE(line.readable());
    std::string text = read(8000);
    EXPECT_EQ(text.size(), 4096u);
    EXPECT_EQ(text.back(), '\n');
    type("next\n");
    EXPECT_EQ(read(), "next\n");
}

TEST_F(LineTest, RingWrapsAround) {
    for (int i = 0; i < 3000; i++) {
        type("line\n");
        ASSERT_EQ(read(), "line\n");
    }
}

}  // namespace
