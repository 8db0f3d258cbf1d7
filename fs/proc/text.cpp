#include "fs/proc/text.h"

#include <cstring>
#include <new>

namespace fs::proc {

Result<void> Text::reserve(size_t capacity) {
    if (capacity <= capacity_) return {};
    std::unique_ptr<char[]> grown(new (std::nothrow) char[capacity]);
    if (!grown) return fail(Errno::kNoMem);
    if (size_ > 0) std::memcpy(grown.get(), bytes_.get(), size_);
    bytes_ = std::move(grown);
    capacity_ = capacity;
    return {};
}

// False, and the text has failed or overflowed for good: there is no room for `count` more bytes.
bool Text::make_room(size_t count) {
    if (failed_ || overflowed_) return false;
    size_t wanted = size_ + count;
    if (wanted <= capacity_) return true;
    if (growth_ == Growth::kFixed) {
        overflowed_ = true;
        return false;
    }
    size_t grown = capacity_ < 512 ? 1024 : capacity_ * 2;
    failed_ = !reserve(grown < wanted ? wanted : grown);
    return !failed_;
}

void Text::append(std::string_view text) {
    length_ += text.size();
    if (text.empty() || !make_room(text.size())) return;
    std::memcpy(bytes_.get() + size_, text.data(), text.size());
    size_ += text.size();
}

Text& Text::right(std::string_view text, unsigned width) {
    for (size_t i = text.size(); i < width; i++) *this << ' ';
    return *this << text;
}

Text& Text::decimal(uint64_t value, unsigned width) {
    char buffer[32];
    unsigned count = 0;
    do {
        buffer[sizeof buffer - ++count] = static_cast<char>('0' + value % 10);
        value /= 10;
    } while (value != 0);
    while (count < width && count < sizeof buffer) buffer[sizeof buffer - ++count] = ' ';
    for (unsigned left = width > count ? width - count : 0; left > 0; left--) *this << ' ';
    return *this << std::string_view(buffer + sizeof buffer - count, count);
}

Text& Text::hex(uint64_t value, unsigned digits, Letters letters) {
    const char* const names = letters == Letters::kCapital ? "0123456789ABCDEF" : "0123456789abcdef";
    char buffer[16];
    unsigned count = 0;
    do {
        buffer[15 - count++] = names[value & 15];
        value >>= 4;
    } while (value != 0 || count < digits);
    return *this << std::string_view(buffer + 16 - count, count);
}

Text& Text::pad_line(size_t line_start, size_t column) {
    do *this << ' ';
    while (length_ - line_start < column);
    return *this;
}

}  // namespace fs::proc
