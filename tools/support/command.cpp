#include "support/command.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "support/failure.h"
#include "support/unique_fd.h"

namespace tool {

CommandResult run_command_line(const std::vector<std::string>& command, const std::filesystem::path& folder) {
    int output[2], errors[2];
    if (::pipe2(output, O_CLOEXEC) != 0 || ::pipe2(errors, O_CLOEXEC) != 0) throw system_failure("cannot make a pipe");
    UniqueFd output_read(output[0]), output_write(output[1]), errors_read(errors[0]), errors_write(errors[1]);
    pid_t child = ::fork();
    if (child < 0) throw system_failure("cannot fork");
    if (child == 0) {
        int null = ::open("/dev/null", O_RDONLY);
        ::dup2(null, 0);
        ::dup2(output_write.get(), 1);
        ::dup2(errors_write.get(), 2);
        if (!folder.empty() && ::chdir(folder.c_str()) != 0) ::_exit(127);
        std::vector<char*> arguments;
        for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
        arguments.push_back(nullptr);
        ::execvp(arguments[0], arguments.data());
        ::_exit(127);
    }
    output_write.reset();
    errors_write.reset();

    CommandResult result;
    pollfd polls[2] = {{output_read.get(), POLLIN, 0}, {errors_read.get(), POLLIN, 0}};
    std::string* texts[2] = {&result.output, &result.errors};
    while (polls[0].fd >= 0 || polls[1].fd >= 0) {
        if (::poll(polls, 2, -1) < 0) {
            if (errno == EINTR) continue;
            throw system_failure("cannot wait for " + command[0]);
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
