#include "relay/log_filter.h"

namespace tool {

namespace {
constexpr size_t kTailLines = 40;
constexpr size_t kMaxLine = 4096;
}  // namespace

void LogFilter::feed(std::string_view bytes) {
    for (char c : bytes) {
        if (c == '\r' || c == '\0') continue;
        if (c == '\n' || partial_.size() >= kMaxLine) {
            line(std::move(partial_));
            partial_.clear();
        }
        if (c != '\n') partial_ += c;
    }
}

void LogFilter::finish() {
    if (!partial_.empty()) line(std::move(partial_));
    partial_.clear();
}

// Which lines come at all is the kernel's business (`log=` on its command line): whatever arrives is shown.
void LogFilter::line(std::string text) {
    if (file_) {
        std::fprintf(file_, "%s\n", text.c_str());
        std::fflush(file_);
    } else {
        std::fprintf(errors_, "%s%s%s", kPrefix, text.c_str(), line_end_);
    }
    tail_.push_back(std::move(text));
    if (tail_.size() > kTailLines) tail_.pop_front();
}

void LogFilter::show_tail() const {
    if (!file_) return;
    for (const std::string& text : tail_) std::fprintf(errors_, "%s%s\n", kPrefix, text.c_str());
}

}  // namespace tool
