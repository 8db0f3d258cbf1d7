// Text under construction, for files whose content is made when it is read.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "core/log.h"
#include "core/result.h"

namespace fs::proc {

// Errors are sticky: after ENOMEM nothing is appended and error() tells.
class Text {
  public:
    // A text of fixed capacity never allocates: for use under locks. What does not fit sets overflowed().
    enum class Growth : bool { kFixed, kGrows };
    explicit Text(Growth growth = Growth::kGrows) : growth_(growth) {}
    Result<void> reserve(size_t capacity);

    Text& operator<<(std::string_view text) { append(text); return *this; }
    Text& operator<<(char byte) { append({&byte, 1}); return *this; }
    template <typename T>
        requires(std::is_integral_v<T> && !std::is_same_v<T, char> && !std::is_same_v<T, bool>)
    Text& operator<<(T value) {
        char digits[24];
        append(klog::format(digits, sizeof digits, "{}", value));
        return *this;
    }
    // printf's %*s and %*lu.
    Text& right(std::string_view text, unsigned width);
    Text& decimal(uint64_t value, unsigned width);
    // printf's %0*lx and %0*lX.
    enum class Letters : bool { kSmall, kCapital };
    Text& hex(uint64_t value, unsigned digits = 1, Letters letters = Letters::kSmall);
    // Spaces until the line that began at length() `line_start` is `column` bytes long, at least one.
    Text& pad_line(size_t line_start, size_t column);

    std::string_view view() const { return {bytes_.get(), size_}; }
    size_t size() const { return size_; }
    // What size() would be if all had fit.
    size_t length() const { return length_; }
    bool failed() const { return failed_; }
    bool overflowed() const { return overflowed_; }
    void clear() { size_ = length_ = 0; failed_ = overflowed_ = false; }

  private:
    void append(std::string_view text);

    bool make_room(size_t count);

    std::unique_ptr<char[]> bytes_;
    Growth growth_;
    size_t size_ = 0, capacity_ = 0, length_ = 0;
    bool failed_ = false, overflowed_ = false;
};

}  // namespace fs::proc
