#include "fs/tty/line_discipline.h"

#include <algorithm>

namespace fs::tty {

namespace {
constexpr int kSigInt = 2, kSigQuit = 3, kSigTstp = 20;
constexpr uint8_t kEndOfFile = 0;  // __DISABLED_CHAR: what stands in the buffer for ^D

bool is_control(uint8_t byte) { return byte < 32 || byte == 127; }
bool is_word(uint8_t byte) {
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_' ||
           byte >= 0x80;
}
uint8_t to_lower(uint8_t byte) { return byte >= 'A' && byte <= 'Z' ? byte + 32 : byte; }
uint8_t to_upper(uint8_t byte) { return byte >= 'a' && byte <= 'z' ? byte - 32 : byte; }
}  // namespace

void LineDiscipline::mark(size_t index, bool value) {
    uint8_t bit = 1 << (index % 8);
    uint8_t& byte = marks_[(index & (kCapacity - 1)) / 8];
    byte = value ? byte | bit : byte & ~bit;
}

void LineDiscipline::set_settings(const Termios& settings) {
    bool toggled = (settings.local ^ settings_.local) & kICanon;
    settings_ = settings;
    if (toggled) {
        for (uint8_t& byte : marks_) byte = 0;
        if (has(kICanon) && head_ != tail_) mark(head_ - 1, true);
        line_end_ = head_;
        literal_next_ = false;
    }
    if (!(settings_.input & kIxOn) && stopped_) output_.set_stopped(stopped_ = false);
}

size_t LineDiscipline::room() const {
    size_t used = head_ - tail_;
    size_t free = kCapacity - 1 - used;
    if (free == 0 && has(kICanon) && line_end_ == tail_) return 1;
    return free;
}

void LineDiscipline::store(uint8_t byte) {
    if (head_ - tail_ >= kCapacity - 1) {
        if (settings_.input & kIMaxBel) output_.emit('\a');
        return;
    }
    mark(head_, false);
    buffer_[head_++ & (kCapacity - 1)] = byte;
}

void LineDiscipline::receive(uint8_t byte) {
    if (settings_.input & kIStrip) byte &= 0x7f;
    if ((settings_.input & kIUcLc) && has(kIExten)) byte = to_lower(byte);
    if (literal_next_) {
        literal_next_ = false;
        if (has(kEcho)) echo(byte);
        store(byte);
        return;
    }
    if (settings_.input & kIxOn) {
        if (is(byte, kVStart) && !is(byte, kVStop)) return output_.set_stopped(stopped_ = false);
        if (is(byte, kVStop)) return output_.set_stopped(stopped_ = true);
    }
    if (has(kISig) && handle_signal(byte)) return;
    if (stopped_ && (settings_.input & kIxOn) && (settings_.input & kIxAny)) output_.set_stopped(stopped_ = false);
    if (byte == '\r') {
        if (settings_.input & kIgnCr) return;
        if (settings_.input & kICrNl) byte = '\n';
    } else if (byte == '\n' && (settings_.input & kINlCr)) {
        byte = '\r';
    }
    if (has(kICanon)) {
        if (handle_editing(byte)) return;
        if (byte == '\n') {
            if (has(kEcho) || has(kEchoNl)) echo_raw('\n');
            return end_line(byte);
        }
        if (is(byte, kVEol) || (is(byte, kVEol2) && has(kIExten))) {
            if (has(kEcho)) echo(byte);
            return end_line(byte);
        }
    }
    if (has(kEcho)) {
        if (head_ == line_end_) start_column_ = column_;
        if (byte == '\n') echo_raw('\n');
        else echo(byte);
    }
    store(byte);
}

bool LineDiscipline::handle_signal(uint8_t byte) {
    int signal = is(byte, kVIntr) ? kSigInt : is(byte, kVQuit) ? kSigQuit : is(byte, kVSusp) ? kSigTstp : 0;
    if (signal == 0) return false;
    if (!has(kNoFlsh)) {
        flush_input();
        if (signal != kSigTstp) output_.discard_output();
    }
    if (stopped_) output_.set_stopped(stopped_ = false);
    if (has(kEcho)) echo(byte);
    output_.raise(signal);
    return true;
}

bool LineDiscipline::handle_editing(uint8_t byte) {
    if (is(byte, kVErase)) return erase_one(), true;
    if (is(byte, kVKill)) return kill_line(), true;
    if (is(byte, kVWErase) && has(kIExten)) return erase_word(), true;
    if (is(byte, kVLNext) && has(kIExten)) {
        literal_next_ = true;
        if (has(kEcho) && has(kEchoCtl)) {
            echo_raw('^');
            echo_raw('\b');
        }
        return true;
    }
    if (is(byte, kVReprint) && has(kEcho) && has(kIExten)) {
        echo(byte);
        echo_raw('\n');
        for (size_t index = line_end_; index != head_; index++) echo(at(index));
        return true;
    }
    if (is(byte, kVEof)) {
        end_line(kEndOfFile);
        return true;
    }
    return false;
}

void LineDiscipline::end_line(uint8_t byte) {
    // The last place is kept for the end of a line: a full line can still be entered.
    if (head_ - tail_ >= kCapacity) return;
    buffer_[head_ & (kCapacity - 1)] = byte;
    mark(head_, true);
    line_end_ = ++head_;
}

void LineDiscipline::echo(uint8_t byte) {
    if (has(kEchoCtl) && is_control(byte) && byte != '\t' && byte != '\n') {
        echo_raw('^');
        echo_raw(byte ^ 0x40);
        return;
    }
    echo_raw(byte);
}

size_t LineDiscipline::column_before(size_t index) const {
    size_t column = start_column_;
    for (size_t i = line_end_; i != index; i++) {
        uint8_t byte = at(i);
        if (byte == '\t') column = (column | 7) + 1;
        else if (is_control(byte)) column += has(kEchoCtl) ? 2 : 0;
        else if (!continuation(byte)) column++;
    }
    return column;
}

// Removes the character at `index` (the last one) from the screen.
void LineDiscipline::rub_out(size_t index) {
    size_t columns = 0;
    uint8_t byte = at(index);
    // What was typed without echo moved no column: then there is nothing to go back over.
    if (byte == '\t') columns = column_ - std::min(column_, column_before(index));
    else if (is_control(byte)) columns = has(kEchoCtl) ? 2 : 0;
    else columns = 1;
    for (size_t i = 0; i < columns; i++) {
        echo_raw('\b');
        if (byte == '\t') continue;  // a tab showed nothing: going back is enough
        echo_raw(' ');
        echo_raw('\b');
    }
}

void LineDiscipline::erase_one() {
    if (head_ == line_end_) return;
    do head_--;
    while (head_ != line_end_ && continuation(at(head_)));
    if (!has(kEcho)) return;
    if (has(kEchoE)) rub_out(head_);
    else echo(settings_.characters[kVErase]);
}

void LineDiscipline::erase_word() {
    bool seen = false;
    while (head_ != line_end_) {
        uint8_t byte = at(head_ - 1);
        if (is_word(byte)) seen = true;
        else if (seen) break;
        erase_one();
    }
}

void LineDiscipline::kill_line() {
    if (head_ == line_end_) return;
    if (has(kEcho) && has(kEchoK) && has(kEchoKe) && has(kEchoE)) {
        while (head_ != line_end_) erase_one();
        return;
    }
    head_ = line_end_;
    if (!has(kEcho)) return;
    echo(settings_.characters[kVKill]);
    if (has(kEchoK)) echo_raw('\n');
}

void LineDiscipline::write(uint8_t byte) {
    uint32_t flags = settings_.output;
    if (!(flags & kOPost)) return output_.emit(byte);
    switch (byte) {
        case '\n':
            if (flags & kONlRet) column_ = 0;
            if (flags & kONlCr) {
                output_.emit('\r');
                column_ = 0;
            }
            return output_.emit('\n');
        case '\r':
            if ((flags & kONoCr) && column_ == 0) return;
            if (flags & kOCrNl) {
                if (flags & kONlRet) column_ = 0;
                return output_.emit('\n');
            }
            column_ = 0;
            return output_.emit('\r');
        case '\t': {
            size_t spaces = 8 - (column_ & 7);
            column_ += spaces;
            if ((flags & kXTabs) != kXTabs) return output_.emit('\t');
            while (spaces-- > 0) output_.emit(' ');
            return;
        }
        case '\b':
            if (column_ > 0) column_--;
            return output_.emit('\b');
        default:
            if (!is_control(byte)) {
                if (flags & kOlCuc) byte = to_upper(byte);
                if (!continuation(byte)) column_++;
            }
            return output_.emit(byte);
    }
}

bool LineDiscipline::readable() const { return has(kICanon) ? line_end_ != tail_ : head_ != tail_; }

size_t LineDiscipline::available() const {
    if (!has(kICanon)) return head_ - tail_;
    size_t count = 0;
    for (size_t index = tail_; index != line_end_; index++) {
        if (!(marked(index) && at(index) == kEndOfFile)) count++;
    }
    return count;
}

size_t LineDiscipline::read(uint8_t* destination, size_t size, bool* line_ended) {
    size_t count = 0;
    *line_ended = false;
    if (!has(kICanon)) {
        while (count < size && tail_ != head_) destination[count++] = at(tail_++);
        line_end_ = tail_ > line_end_ ? tail_ : line_end_;
        return count;
    }
    while (tail_ != line_end_) {
        bool end = marked(tail_);
        uint8_t byte = at(tail_);
        if (end && byte == kEndOfFile) {
            // Taken also when the buffer is just full: the next read is not an end of file of its own.
            tail_++;
            *line_ended = true;
            break;
        }
        if (count == size) break;
        destination[count++] = byte;
        tail_++;
        if (end) {
            *line_ended = true;
            break;
        }
    }
    return count;
}

void LineDiscipline::flush_input() {
    tail_ = line_end_ = head_;
    literal_next_ = false;
}

}  // namespace fs::tty
