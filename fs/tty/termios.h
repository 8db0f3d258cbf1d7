// Terminal settings as the kernel interface has them (termios(3), ioctl_tty(2)).
#pragma once

#include <cstdint>

namespace fs::tty {

// struct termios of asm-generic/termbits.h, 36 bytes; struct termios2 adds the speeds.
struct Termios {
    uint32_t input = 0, output = 0, control = 0, local = 0;
    uint8_t line = 0;
    uint8_t characters[19] = {};
};
static_assert(sizeof(Termios) == 36);
// struct termio of asm/termios.h, System V's: the low halves of the flags and the first eight characters.
struct Termio {
    uint16_t input = 0, output = 0, control = 0, local = 0;
    uint8_t line = 0;
    uint8_t characters[8] = {};
    uint8_t padding = 0;
};
static_assert(sizeof(Termio) == 18);
constexpr Termio to_termio(const Termios& settings) {
    Termio old;
    old.input = static_cast<uint16_t>(settings.input);
    old.output = static_cast<uint16_t>(settings.output);
    old.control = static_cast<uint16_t>(settings.control);
    old.local = static_cast<uint16_t>(settings.local);
    old.line = settings.line;
    for (unsigned i = 0; i < 8; i++) old.characters[i] = settings.characters[i];
    return old;
}
// `settings` with what a termio says; the rest stays.
constexpr Termios with_termio(Termios settings, const Termio& old) {
    constexpr uint32_t kKept = 0xffff0000;
    settings.input = (settings.input & kKept) | old.input;
    settings.output = (settings.output & kKept) | old.output;
    settings.control = (settings.control & kKept) | old.control;
    settings.local = (settings.local & kKept) | old.local;
    for (unsigned i = 0; i < 8; i++) settings.characters[i] = old.characters[i];
    return settings;
}
struct Termios2 {
    Termios basic;
    uint32_t input_speed = 38400, output_speed = 38400;
};
static_assert(sizeof(Termios2) == 44);

// c_iflag
inline constexpr uint32_t kIgnBrk = 0001, kBrkInt = 0002, kIgnPar = 0004, kInPck = 0020, kIStrip = 0040, kINlCr = 0100,
    kIgnCr = 0200, kICrNl = 0400, kIUcLc = 01000, kIxOn = 02000, kIxAny = 04000, kIxOff = 010000, kIMaxBel = 020000,
    kIUtf8 = 040000;
// c_oflag
inline constexpr uint32_t kOPost = 0001, kOlCuc = 0002, kONlCr = 0004, kOCrNl = 0010, kONoCr = 0020, kONlRet = 0040,
    kXTabs = 014000;
// c_cflag: B38400 | CS8 | CREAD
inline constexpr uint32_t kControlDefault = 017 | 060 | 0200;
// c_lflag
inline constexpr uint32_t kISig = 0001, kICanon = 0002, kEcho = 0010, kEchoE = 0020, kEchoK = 0040, kEchoNl = 0100,
    kNoFlsh = 0200, kToStop = 0400, kEchoCtl = 01000, kEchoPrt = 02000, kEchoKe = 04000, kIExten = 0100000;
// c_cc
inline constexpr unsigned kVIntr = 0, kVQuit = 1, kVErase = 2, kVKill = 3, kVEof = 4, kVTime = 5, kVMin = 6, kVStart = 8,
    kVStop = 9, kVSusp = 10, kVEol = 11, kVReprint = 12, kVDiscard = 13, kVWErase = 14, kVLNext = 15, kVEol2 = 16;

// What a fresh terminal has (tty_std_termios).
constexpr Termios default_termios() {
    Termios termios;
    termios.input = kICrNl | kIxOn;
    termios.output = kOPost | kONlCr;
    termios.control = kControlDefault;
    termios.local = kISig | kICanon | kEcho | kEchoE | kEchoK | kEchoCtl | kEchoKe | kIExten;
    const uint8_t characters[19] = {3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0, 0, 0};
    for (unsigned i = 0; i < 19; i++) termios.characters[i] = characters[i];
    return termios;
}

struct WindowSize {
    uint16_t rows = 0, columns = 0, x_pixels = 0, y_pixels = 0;
    bool operator==(const WindowSize&) const = default;
};

}  // namespace fs::tty
