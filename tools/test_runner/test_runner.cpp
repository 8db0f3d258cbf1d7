#include "test_runner/test_runner.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "recipe/recipe.h"
#include "support/failure.h"
#include "support/files.h"
#include "support/strings.h"
#include "support/unique_fd.h"
#include "test_runner/recipe_tests.h"
#include "test_runner/tap.h"

namespace tool {

namespace {

bool is_executable(const fs::path& path) { return fs::is_regular_file(path) && ::access(path.c_str(), X_OK) == 0; }

/// Counts over all drivers, and says what happens on stdout.
class Report {
  public:
    void start(const std::string& driver) {
        driver_ = driver;
        started_ = std::chrono::steady_clock::now();
        std::printf("== %s\n", driver.c_str());
        std::fflush(stdout);
    }

    void result(const TestResult& result) {
        std::printf("%s %s\n", result.passed ? "ok    " : "FAILED", result.name.c_str());
        std::fflush(stdout);
    }

    void finish(const TapReader& results) {
        for (const TestResult& result : results.results()) {
            if (result.passed) continue;
            failures_.push_back(driver_ + ": " + result.name);
            std::printf("-- %s\n", result.name.c_str());
            for (const std::string& comment : result.comments) std::printf("   %s\n", comment.c_str());
        }
        passed_ += results.passed();
        auto seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
        std::printf("== %s: %zu passed, %zu failed, %.1f s\n", driver_.c_str(), results.passed(), results.failed(),
                    seconds);
    }

    int end() const {
        if (!failures_.empty()) std::printf("\nFailed:\n");
        for (const std::string& name : failures_) std::printf("  %s\n", name.c_str());
        std::printf("%zu passed, %zu failed\n", passed_, failures_.size());
        return failures_.empty() && passed_ > 0 ? 0 : 1;
    }

  private:
    std::string driver_;
    std::chrono::steady_clock::time_point started_;
    size_t passed_ = 0;
    std::vector<std::string> failures_;
};

/// Runs a driver's executable and calls `line` for each line of its stdout; its stderr is the tool's.
template <typename Line>
int run_driver_program(const std::vector<std::string>& command, const Line& line) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw system_failure("cannot make a pipe");
    UniqueFd reading(ends[0]), writing(ends[1]);
    std::fflush(stdout);
    pid_t child = ::fork();
    if (child < 0) throw system_failure("cannot fork");
    if (child == 0) {
        ::dup2(::open("/dev/null", O_RDONLY), 0);
        ::dup2(writing.get(), 1);
        std::vector<char*> arguments;
        for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
        arguments.push_back(nullptr);
        ::execv(arguments[0], arguments.data());
        ::_exit(127);
    }
    writing.reset();
    std::string pending;
    char buffer[4096];
    for (;;) {
        ssize_t length = ::read(reading.get(), buffer, sizeof buffer);
        if (length < 0 && errno == EINTR) continue;
        if (length <= 0) break;
        pending.append(buffer, static_cast<size_t>(length));
        for (size_t end; (end = pending.find('\n')) != std::string::npos; pending.erase(0, end + 1))
            line(pending.substr(0, end));
    }
    if (!pending.empty()) line(pending);
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void run_driver(const TestDriver& driver, const Places& places, Report& report) {
    std::string folder = driver.name;
    std::replace(folder.begin(), folder.end(), '/', '-');
    const fs::path build = places.build / folder;
    fs::create_directories(build);
    ::setenv("BUILD", build.c_str(), 1);
    report.start(driver.name);
    TapReader results;
    if (is_executable(driver.folder / "build")) {
        int status = run_driver_program({(driver.folder / "build").string(), build.string()},
                                        [](const std::string& line) { std::printf("   %s\n", line.c_str()); });
        if (status != 0) {
            results.line("not ok 1 - it can be built");
            report.result(results.results().back());
            report.finish(results);
            return;
        }
    }
    int status = run_driver_program({(driver.folder / "run").string()}, [&](const std::string& line) {
        if (results.line(line)) report.result(results.results().back());
    });
    results.finish(status, driver.name);
    report.finish(results);
}

void run_recipe_tests(const Recipe& recipe, const Places& places, Report& report) {
    report.start("recipe " + recipe.name);
    TapReader results;
    for (const RecipeTest& test : recipe.tests) {
        TestResult result = run_recipe_test(recipe, test, places);
        report.result(result);
        results.line(std::string(result.passed ? "ok - " : "not ok - ") + result.name);
        for (const std::string& comment : result.comments) results.line("# " + comment);
    }
    report.finish(results);
}

}  // namespace

std::vector<TestDriver> find_drivers(const fs::path& tests) {
    std::vector<TestDriver> drivers;
    std::error_code error;
    for (const auto& entry : fs::recursive_directory_iterator(tests, error)) {
        if (entry.path().filename() != "run" || !is_executable(entry.path())) continue;
        const fs::path folder = entry.path().parent_path();
        drivers.push_back({fs::relative(folder, tests).string(), folder});
    }
    std::sort(drivers.begin(), drivers.end(), [](const TestDriver& a, const TestDriver& b) {
        return std::make_pair(a.name != "unit", a.name) < std::make_pair(b.name != "unit", b.name);
    });
    return drivers;
}

int run_tests(const TestOptions& options, const Places& places) {
    auto wanted = [&](const std::string& name) {
        return options.names.empty() || std::any_of(options.names.begin(), options.names.end(), [&](const auto& part) {
                   return name.find(part) != std::string::npos;
               });
    };
    ::setenv("ISOUNIK", (places.source / "isounik").c_str(), 1);
    if (options.long_tests) ::setenv("LONG", "1", 1);
    Report report;
    for (const TestDriver& driver : find_drivers(places.source / "tests"))
        if (wanted(driver.name)) run_driver(driver, places, report);
    for (const std::string& name : recipe_names(places.recipes())) {
        const Recipe recipe = load_recipe(name, places.recipes());
        if (!recipe.tests.empty() && wanted("recipe " + name)) run_recipe_tests(recipe, places, report);
    }
    return report.end();
}

}  // namespace tool
