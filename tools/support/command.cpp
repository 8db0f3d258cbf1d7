#include "support/command.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "support/failure.h"
#include "support/unique_fd.h"

namespace tool {

CommandResult run_command_line(const std::vector<std::string>& command, const CommandOptions& options) {
    int output[2], errors[2];
    if (::pipe2(output, O_CLOEXEC) != 0 || ::pipe2(errors, O_CLOEXEC) != 0) throw system_failure("cannot make a pipe");
    UniqueFd output_read(output[0]), output_write(output[1]), errors_read(errors[0]), errors_write(errors[1]);
    UniqueFd input(::memfd_create("stdin", MFD_CLOEXEC));
    if (!input || ::write(input.get(), options.input.data(), options.input.size()) < 0)
        throw system_failure("cannot prepare the input of " + command[0]);
    ::lseek(input.get(), 0, SEEK_SET);
    pid_t child = ::fork();
    if (child < 0) throw system_failure("cannot fork");
    if (child == 0) {
        ::dup2(input.get(), 0);
        ::dup2(output_write.get(), 1);
        ::dup2(errors_write.get(), 2);
        if (!options.folder.empty() && ::chdir(options.folder.c_str()) != 0) ::_exit(127);
        std::vector<char*> arguments;
        for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
        arguments.push_back(nullptr);
        ::execvp(arguments[0], arguments.data());
        ::_exit(127);
    }
    output_write.reset();
    errors_write.reset();

    using Clock = std::chrono::steady_clock;
    const Clock::time_point deadline = Clock::now() + options.time_limit;
    CommandResult result;
    pollfd polls[2] = {{output_read.get(), POLLIN, 0}, {errors_read.get(), POLLIN, 0}};
    std::string* texts[2] = {&result.output, &result.errors};
    while (polls[0].fd >= 0 || polls[1].fd >= 0) {
        int wait_ms = -1;
        if (options.time_limit.count() && !result.timed_out) {
            auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
            wait_ms = static_cast<int>(std::max<long long>(left, 0));
        }
        int ready = ::poll(polls, 2, wait_ms);
        if (ready < 0) {
            if (errno == EINTR) continue;
            throw system_failure("cannot wait for " + command[0]);
        }
        if (ready == 0) {
            result.timed_out = true;
            ::kill(child, SIGKILL);
        }
        for (int i = 0; i < 2; ++i) {
            if (!polls[i].revents) continue;
            char buffer[65536];
            ssize_t length = ::read(polls[i].fd, buffer, sizeof buffer);
            if (length > 0) texts[i]->append(buffer, static_cast<size_t>(length));
            if (length == 0 || (length < 0 && errno != EINTR)) polls[i].fd = -1;
        }
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return result;
}

}  // namespace tool
