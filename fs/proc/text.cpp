#include "fs/proc/text.h"

namespace fs::proc {

void Text::append(std::string_view text) {
    if (failed_ || overflowed_) return;
    size_t size = bytes_.size(), wanted = size + text.size();
    if (growth_ == Growth::kFixed && wanted > capacity_) {
        overflowed_ = true;
        return;
    }
    if (wanted > capacity_) {
        size_t grown = capacity_ < 512 ? 1024 : capacity_ * 2;
        if (!reserve(grown < wanted ? wanted : grown)) {
            failed_ = true;
            return;
        }
    }
    for (char byte : text) (void)bytes_.push_back(byte);  // within the capacity
}

Text& Text::right(std::string_view text, unsigned width) {
    for (size_t i = text.size(); i < width; i++) *this << ' ';
    return *this << text;
}

Text& Text::decimal(uint64_t value, unsigned width) {
    char digits[24];
    return right(klog::format(digits, sizeof digits, "{}", value), width);
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
    while (bytes_.size() - line_start < column && !failed_ && !overflowed_);
    return *this;
}

}  // namespace fs::proc
