// The kernel's log on its way from the serial port to a person.
#pragma once

#include <cstdio>
#include <deque>
#include <string>
#include <string_view>

namespace tool {

class LogFilter {
  public:
    /// Lines go to `file`, or, if there is none, to `errors` with a prefix. Neither is owned.
    LogFilter(std::FILE* file, std::FILE* errors) : file_(file), errors_(errors) {}

    /// Takes bytes as they come; lines are completed over several calls.
    void feed(std::string_view bytes);
    /// The machine has ended: what has no line end yet is a line too.
    void finish();
    /// On a terminal in raw mode a line must end with a carriage return too.
    void set_line_end(const char* line_end) { line_end_ = line_end; }
    /// What a person needs when the machine failed: the last lines, unless they were shown already.
    void show_tail() const;

    static constexpr const char* kPrefix = "kernel: ";

  private:
    void line(std::string text);

    std::FILE* file_;
    std::FILE* errors_;
    const char* line_end_ = "\n";
    std::string partial_;
    std::deque<std::string> tail_;
};

}  // namespace tool
