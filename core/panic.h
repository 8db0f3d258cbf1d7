// panic(): a bug in the kernel. Prints the message and a symbolised backtrace, and ends the machine with
// status 125. Assertions are for our own bugs, never for what a program or a device sends.
#pragma once

namespace core {

[[noreturn]] void panic(const char* file, int line, const char* message);

}  // namespace core

#define PANIC(message) ::core::panic(__FILE__, __LINE__, message)
#define ASSERT(condition)                                                     \
    do {                                                                      \
        if (!(condition)) [[unlikely]] PANIC("assertion failed: " #condition); \
    } while (0)
