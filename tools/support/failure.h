// The one way in which the tool gives up.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace tool {

/// Exit status when the tool or the machine failed, as opposed to the program inside it.
inline constexpr int kToolFailed = 125;

/// Thrown where the tool cannot go on. `what()` says what is wrong, `hint()` what a person can do about it.
/// main() prints both and exits with kToolFailed.
class Failure : public std::runtime_error {
  public:
    explicit Failure(const std::string& message, std::string hint = {})
        : std::runtime_error(message), hint_(std::move(hint)) {}

    const std::string& hint() const { return hint_; }

  private:
    std::string hint_;
};

/// A Failure that ends with what errno says.
Failure system_failure(const std::string& what);

}  // namespace tool
