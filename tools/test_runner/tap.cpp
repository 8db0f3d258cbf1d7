#include "test_runner/tap.h"

#include <algorithm>
#include <charconv>

#include "support/strings.h"

namespace tool {

bool TapReader::line(std::string_view text) {
    text = text.substr(0, text.find_last_not_of("\r\n") + 1);
    if (text.starts_with("1..")) {
        std::from_chars(text.data() + 3, text.data() + text.size(), planned_);
        return false;
    }
    if (text.starts_with("#")) {
        if (!results_.empty()) results_.back().comments.emplace_back(trim(text.substr(1)));
        return false;
    }
    const bool failed = text.starts_with("not ok");
    if (!failed && !(text == "ok" || text.starts_with("ok "))) return false;
    std::string_view rest = trim(text.substr(failed ? 6 : 2));
    rest = rest.substr(std::min(rest.find_first_not_of("0123456789"), rest.size()));
    rest = trim(rest);
    if (rest.starts_with("-")) rest = trim(rest.substr(1));
    results_.push_back({.name = rest.empty() ? "test " + std::to_string(results_.size() + 1) : std::string(rest),
                        .passed = !failed,
                        .comments = {}});
    return true;
}

void TapReader::finish(int exit_status, const std::string& driver) {
    auto add_failure = [&](const std::string& why) {
        results_.push_back({.name = driver + ": " + why, .passed = false, .comments = {}});
    };
    if (planned_ >= 0 && static_cast<size_t>(planned_) != results_.size())
        add_failure("it planned " + count_of(static_cast<size_t>(planned_), "test") + " and reported " +
                    std::to_string(results_.size()));
    if (exit_status != 0 && failed() == 0) add_failure("it ended with status " + std::to_string(exit_status));
    if (results_.empty()) add_failure("it reported no test");
}

size_t TapReader::passed() const {
    return static_cast<size_t>(
        std::count_if(results_.begin(), results_.end(), [](const TestResult& result) { return result.passed; }));
}

}  // namespace tool
