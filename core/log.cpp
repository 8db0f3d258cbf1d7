#include "core/log.h"

#include <atomic>
#include <cstring>

#include "core/lock.h"

namespace core::klog {

namespace {

std::atomic<Level> level_now{Level::kWarn};
std::atomic<Sink> sink_now{nullptr};
Spinlock sink_lock{Rank::kLog};

// An output buffer that drops what does not fit.
class Buffer {
  public:
    Buffer(char* data, size_t size) : data_(data), size_(size) {}
    void put(char c) { if (used_ < size_) data_[used_++] = c; }
    void put(std::string_view text) { for (char c : text) put(c); }
    void put_unsigned(uint64_t value, unsigned base) {
        char digits[20];
        size_t count = 0;
        do {
            digits[count++] = "0123456789abcdef"[value % base];
            value /= base;
        } while (value != 0);
        while (count > 0) put(digits[--count]);
    }
    void put(const Argument& argument, bool hexadecimal) {
        switch (argument.kind) {
            case Argument::Kind::kString: put(argument.text); return;
            case Argument::Kind::kHex: put("0x"); put_unsigned(argument.unsigned_value, 16); return;
            case Argument::Kind::kUnsigned: put_unsigned(argument.unsigned_value, hexadecimal ? 16 : 10); return;
            case Argument::Kind::kSigned:
                if (hexadecimal) return put_unsigned(argument.unsigned_value, 16);
                if (argument.signed_value < 0) put('-');
                put_unsigned(argument.signed_value < 0 ? -argument.unsigned_value : argument.unsigned_value, 10);
                return;
        }
    }
    std::string_view view() const { return {data_, used_}; }

  private:
    char* data_;
    size_t size_, used_ = 0;
};

void format_into(Buffer& buffer, std::string_view format, const Argument* arguments, size_t count) {
    size_t next = 0;
    for (size_t i = 0; i < format.size(); i++) {
        if (format[i] != '{') {
            buffer.put(format[i]);
            continue;
        }
        size_t close = format.find('}', i);
        if (close == std::string_view::npos) return buffer.put(format.substr(i));
        bool hexadecimal = format.substr(i, close - i).find('x') != std::string_view::npos;
        if (next < count) buffer.put(arguments[next++], hexadecimal);
        i = close;
    }
}

}  // namespace

std::string_view format_to(char* data, size_t size, std::string_view format, const Argument* arguments,
                           size_t count) {
    Buffer buffer(data, size);
    format_into(buffer, format, arguments, count);
    return buffer.view();
}

void set_level(Level level) { level_now.store(level, std::memory_order_relaxed); }
bool enabled(Level level) { return level <= level_now.load(std::memory_order_relaxed); }
void set_sink(Sink sink) { sink_now.store(sink); }

// Seconds and microseconds since boot for the record's head; set by the clock once it runs.
uint64_t (*log_clock_ns)() = nullptr;

void write(Level level, std::string_view format, const Argument* arguments, size_t count) {
    Sink sink = sink_now.load();
    if (!sink) return;
    static constexpr std::string_view kNames[] = {"error", "warn", "info", "debug"};
    char line[512];
    Buffer buffer(line, sizeof(line) - 1);
    uint64_t microseconds = log_clock_ns ? log_clock_ns() / 1000 : 0;
    char fraction[] = "000000";
    for (int i = 5, rest = static_cast<int>(microseconds % 1'000'000); i >= 0; i--, rest /= 10) {
        fraction[i] = static_cast<char>('0' + rest % 10);
    }
    buffer.put('[');
    buffer.put_unsigned(microseconds / 1'000'000, 10);
    buffer.put('.');
    buffer.put(std::string_view(fraction, 6));
    buffer.put("] ");
    buffer.put(kNames[static_cast<size_t>(level)]);
    buffer.put(": ");
    format_into(buffer, format, arguments, count);
    size_t length = buffer.view().size();
    line[length] = '\n';
    SpinGuard guard(sink_lock);
    sink({line, length + 1});
}

}  // namespace core::klog
