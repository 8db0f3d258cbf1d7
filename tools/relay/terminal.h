// Raw mode for the tool's terminal.
#pragma once

#include <termios.h>

namespace tool {

/// Passes every byte on while the object lives (the line discipline is the guest's); restores the terminal when it
/// goes. Does nothing if the descriptor is no terminal.
class RawTerminal {
  public:
    explicit RawTerminal(int fd);
    ~RawTerminal();
    RawTerminal(const RawTerminal&) = delete;
    RawTerminal& operator=(const RawTerminal&) = delete;

    bool active() const { return active_; }

  private:
    int fd_;
    bool active_ = false;
    termios saved_ = {};
};

}  // namespace tool
