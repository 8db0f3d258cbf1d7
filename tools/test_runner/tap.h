// The Test Anything Protocol, as much of it as the drivers speak.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tool {

struct TestResult {
    std::string name;
    bool passed = false;
    std::vector<std::string> comments;  // "# ..." lines behind the result
};

/// Collects results line by line: "ok 1 - name", "not ok 2 - name", "# comment", "1..2".
class TapReader {
  public:
    /// True if the line completed the name of a new result, which is then results().back().
    bool line(std::string_view text);
    /// The driver has ended. Adds a failed result if it promised another number of results than it gave, or if it
    /// reports failure by its exit status only.
    void finish(int exit_status, const std::string& driver);

    const std::vector<TestResult>& results() const { return results_; }
    size_t passed() const;
    size_t failed() const { return results_.size() - passed(); }

  private:
    std::vector<TestResult> results_;
    long planned_ = -1;
};

}  // namespace tool
