#include "test_runner/recipe_tests.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <thread>

#include "machine/port_forward.h"
#include "support/command.h"
#include "support/failure.h"
#include "support/files.h"
#include "support/strings.h"
#include "test_runner/http_get.h"

namespace tool {

namespace {

using namespace std::chrono_literals;
constexpr auto kTimeLimit = 120s;

void expect_equal(TestResult& result, const std::string& what, const std::string& expected, const std::string& got) {
    if (expected == got) return;
    result.passed = false;
    result.comments.push_back(what + ": expected " + shell_quote(expected) + ", got " + shell_quote(got));
}

void expect_part(TestResult& result, const std::string& what, const std::string& part, const std::string& got) {
    if (got.find(part) != std::string::npos) return;
    result.passed = false;
    result.comments.push_back(what + ": expected " + shell_quote(part) + " in " + shell_quote(got.substr(0, 200)));
}

void add_errors(TestResult& result, const std::string& errors) {
    std::vector<std::string> lines = split(errors, '\n');
    constexpr size_t kLastLines = 20;
    for (size_t i = lines.size() > kLastLines ? lines.size() - kLastLines : 0; i < lines.size(); ++i)
        if (!lines[i].empty()) result.comments.push_back(lines[i]);
}

std::vector<std::string> launcher(const Recipe& recipe, const Places& places) {
    return {(places.source / "isounik").string(), "run", "--quiet", recipe.folder.string() + "/"};
}

TestResult run_program(const Recipe& recipe, const RecipeTest& test, const Places& places) {
    std::vector<std::string> command = launcher(recipe, places);
    command.insert(command.end() - 1, {"--network", "none"});
    command.push_back("--");
    command.insert(command.end(), test.run.begin(), test.run.end());
    CommandResult run = run_command_line(command, {.input = test.stdin_text, .time_limit = kTimeLimit});
    TestResult result = {.name = {}, .passed = true, .comments = {}};
    if (run.timed_out) {
        result.passed = false;
        result.comments.push_back("it did not end in time");
    }
    expect_equal(result, "exit status", std::to_string(test.status), std::to_string(run.status));
    if (test.stdout_text) expect_equal(result, "stdout", *test.stdout_text, run.output);
    expect_part(result, "stdout", test.contains, run.output);
    if (!result.passed) add_errors(result, run.errors);
    return result;
}

/// A started recipe with its first TCP port on a free port of the host.
class RunningRecipe {
  public:
    RunningRecipe(const Recipe& recipe, const Places& places) : scratch_(places.build) {
        std::vector<PortForward> forwards;
        for (const std::string& text : recipe.ports) forwards.push_back(parse_port_forward(text));
        if (forwards.empty()) throw Failure("the recipe " + recipe.name + " has an http test, but no port");
        forwards.resize(1);
        forwards[0].host = 0;
        reserve_ports(forwards);
        port_ = forwards[0].host;
        std::vector<std::string> command = launcher(recipe, places);
        command.insert(command.end() - 1, {"-p", std::to_string(port_) + ":" + std::to_string(forwards[0].guest)});
        std::vector<char*> arguments;
        for (std::string& word : command) arguments.push_back(word.data());
        arguments.push_back(nullptr);
        pid_ = ::fork();
        if (pid_ < 0) throw system_failure("cannot fork");
        if (pid_ != 0) return;
        int log = ::open((scratch_.path() / "errors").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
        ::dup2(::open("/dev/null", O_RDONLY), 0);
        ::dup2(log, 1);
        ::dup2(log, 2);
        ::execv(arguments[0], arguments.data());
        ::_exit(127);
    }

    ~RunningRecipe() {
        ::kill(pid_, SIGTERM);
        for (int i = 0; i < 100 && is_running(); ++i) std::this_thread::sleep_for(100ms);
        if (!ended_) ::kill(pid_, SIGKILL);
        while (!ended_ && ::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
        }
    }
    RunningRecipe(const RunningRecipe&) = delete;
    RunningRecipe& operator=(const RunningRecipe&) = delete;

    bool is_running() {
        if (!ended_ && ::waitpid(pid_, nullptr, WNOHANG) == pid_) ended_ = true;
        return !ended_;
    }
    uint16_t port() const { return port_; }
    std::string errors() const { return read_file(scratch_.path() / "errors"); }

  private:
    TemporaryFolder scratch_;
    pid_t pid_ = -1;
    uint16_t port_ = 0;
    bool ended_ = false;
};

TestResult fetch_page(const Recipe& recipe, const RecipeTest& test, const Places& places) {
    RunningRecipe machine(recipe, places);
    const auto deadline = std::chrono::steady_clock::now() + kTimeLimit;
    HttpResponse response;
    // QEMU accepts before the guest listens, and then closes: no answer is no failure yet.
    while (machine.is_running() && response.status == 0 && std::chrono::steady_clock::now() < deadline) {
        response = http_get(machine.port(), test.http, 10s);
        if (response.status == 0) std::this_thread::sleep_for(200ms);
    }
    TestResult result = {.name = {}, .passed = true, .comments = {}};
    expect_equal(result, "HTTP status", "200", std::to_string(response.status));
    expect_part(result, "the page", test.contains, response.body);
    if (!result.passed) add_errors(result, machine.errors());
    return result;
}

}  // namespace

TestResult run_recipe_test(const Recipe& recipe, const RecipeTest& test, const Places& places) {
    TestResult result;
    try {
        result = test.http.empty() ? run_program(recipe, test, places) : fetch_page(recipe, test, places);
    } catch (const Failure& failure) {
        result.passed = false;
        result.comments.push_back(failure.what());
    }
    result.name = test.name;
    return result;
}

}  // namespace tool
