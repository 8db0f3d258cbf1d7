// The kernel's log: one record a line, to the serial port (docs/boot-protocol.md).
//
//     klog::warn("pid {}: unknown system call {} ({:x})", pid, name, number);
//
// `{}` prints integers in decimal, `{:x}` in hexadecimal, strings as they are, addresses in hexadecimal.
// Never allocates, never fails; a record of more than 500 bytes is cut.
#pragma once

#include <cstdint>
#include <string_view>
#include <type_traits>

#include "core/errno.h"
#include "core/types.h"

namespace core::klog {

enum class Level : uint8_t { kError, kWarn, kInfo, kDebug };

struct Argument {
    enum class Kind : uint8_t { kSigned, kUnsigned, kHex, kString } kind;
    union {
        int64_t signed_value;
        uint64_t unsigned_value;
    };
    std::string_view text;

    Argument(std::string_view value) : kind(Kind::kString), unsigned_value(0), text(value) {}
    Argument(const char* value) : Argument(std::string_view(value ? value : "(null)")) {}
    Argument(Errno value) : Argument(errno_name(value)) {}
    Argument(bool value) : Argument(value ? "true" : "false") {}
    Argument(const void* value) : kind(Kind::kHex), unsigned_value(reinterpret_cast<uintptr_t>(value)) {}
    template <typename Space>
    Argument(Address<Space> value) : kind(Kind::kHex), unsigned_value(value.value()) {}
    Argument(Pfn value) : kind(Kind::kHex), unsigned_value(value.number()) {}
    template <typename T>
        requires(std::is_integral_v<T> || std::is_enum_v<T>)
    Argument(T value) : kind(std::is_signed_v<T> ? Kind::kSigned : Kind::kUnsigned) {
        if constexpr (std::is_signed_v<T>) signed_value = static_cast<int64_t>(value);
        else unsigned_value = static_cast<uint64_t>(value);
    }
};

// Formats into `buffer`; returns the part that was filled. Also used for /proc texts.
std::string_view format_to(char* buffer, size_t size, std::string_view format, const Argument* arguments,
                           size_t count);
template <typename... Args>
std::string_view format(char* buffer, size_t size, std::string_view fmt, const Args&... args) {
    const Argument arguments[] = {Argument(args)..., Argument(0)};
    return format_to(buffer, size, fmt, arguments, sizeof...(Args));
}

void set_level(Level level);
bool enabled(Level level);
void write(Level level, std::string_view format, const Argument* arguments, size_t count);

// Where finished lines go; the boot code points it at the serial port. `nullptr` discards.
using Sink = void (*)(std::string_view line);
void set_sink(Sink sink);
// Nanoseconds since boot for the head of each record; null until the clock runs.
extern uint64_t (*log_clock_ns)();

#define ISOUNIK_LOG_FUNCTION(name, level)                                         \
    template <typename... Args>                                                   \
    void name(std::string_view format, const Args&... args) {                     \
        if (!enabled(level)) return;                                              \
        const Argument arguments[] = {Argument(args)..., Argument(0)};            \
        write(level, format, arguments, sizeof...(Args));                         \
    }
ISOUNIK_LOG_FUNCTION(error, Level::kError)
ISOUNIK_LOG_FUNCTION(warn, Level::kWarn)
ISOUNIK_LOG_FUNCTION(info, Level::kInfo)
ISOUNIK_LOG_FUNCTION(debug, Level::kDebug)
#undef ISOUNIK_LOG_FUNCTION

}  // namespace core::klog

namespace klog = core::klog;
