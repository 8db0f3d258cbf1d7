// The line discipline: what happens to bytes between a keyboard and a program, and between a program and a screen
// (termios(3); Linux' n_tty). A state machine without threads or locks: the terminal that owns it locks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "fs/tty/termios.h"

namespace fs::tty {

// What the line discipline asks of its terminal. Called from inside its methods.
class LineOutput {
  public:
    virtual void emit(uint8_t byte) = 0;        // to the screen; dropped if there is no room
    virtual void raise(int signal) = 0;         // to the foreground process group
    virtual void discard_output() = 0;          // what has not been shown yet (interrupt without NOFLSH)
    virtual void set_stopped(bool stopped) = 0;  // XON/XOFF

  protected:
    ~LineOutput() = default;
};

class LineDiscipline {
  public:
    static constexpr size_t kCapacity = 4096;

    explicit LineDiscipline(LineOutput& output) : output_(output) {}

    const Termios& settings() const { return settings_; }
    // Switching ICANON makes what is waiting a line, or readable as it is.
    void set_settings(const Termios& settings);

    // One byte from the keyboard.
    void receive(uint8_t byte);
    // How many more bytes it takes without dropping any. A canonical line may always be ended, erased or killed.
    size_t room() const;

    // One byte from a program, through OPOST. At most kMaxExpansion bytes are emitted.
    static constexpr size_t kMaxExpansion = 8;
    void write(uint8_t byte);

    // Whether read() would return (canonical: a line or end of file waits; raw: a byte).
    bool readable() const;
    // Bytes that read() could return at most (FIONREAD).
    size_t available() const;
    // Canonical: at most one line; 0 is end of file, to be asked only if readable(). Raw: what is there.
    // `*line_ended` tells that no more may be added from the next line.
    size_t read(uint8_t* destination, size_t size, bool* line_ended);
    // tcflush(TCIFLUSH).
    void flush_input();

  private:
    bool has(uint32_t flag) const { return settings_.local & flag; }
    bool is(uint8_t byte, unsigned which) const {
        return settings_.characters[which] != 0 && byte == settings_.characters[which];
    }
    bool handle_signal(uint8_t byte);
    bool handle_editing(uint8_t byte);
    void end_line(uint8_t byte);
    void store(uint8_t byte);
    void echo(uint8_t byte);
    void echo_raw(uint8_t byte) { write(byte); }
    void erase_one();
    void erase_word();
    void kill_line();
    void rub_out(size_t index);
    size_t column_before(size_t index) const;
    uint8_t at(size_t index) const { return buffer_[index & (kCapacity - 1)]; }
    bool marked(size_t index) const { return marks_[(index & (kCapacity - 1)) / 8] >> (index % 8) & 1; }
    void mark(size_t index, bool value);
    bool continuation(uint8_t byte) const { return (settings_.input & kIUtf8) && (byte & 0xc0) == 0x80; }

    LineOutput& output_;
    Termios settings_ = default_termios();
    // Indices count up; [tail_, line_end_) are finished lines, [line_end_, head_) the line being edited.
    size_t tail_ = 0, line_end_ = 0, head_ = 0;
    size_t column_ = 0;       // of the screen
    size_t start_column_ = 0;  // where the edited line began
    bool literal_next_ = false;
    bool stopped_ = false;
    uint8_t buffer_[kCapacity];
    uint8_t marks_[kCapacity / 8] = {};  // ends of lines; with the byte 0: end of file
};

}  // namespace fs::tty
