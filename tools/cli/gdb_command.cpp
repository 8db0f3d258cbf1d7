#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "cli/commands.h"
#include "support/failure.h"
#include "support/files.h"
#include "support/progress.h"
#include "support/strings.h"

namespace tool {

namespace {

[[noreturn]] void start(const std::vector<std::string>& command) {
    std::vector<char*> arguments;
    for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
}

int wait_for(pid_t child) {
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

// The machine runs in a child with its output in a file, so that gdb has the terminal for itself.
int gdb_command(RunOptions options, const std::vector<std::string>& gdb_arguments, const Places& places) {
    const std::filesystem::path kernel = options.kernel.empty() ? places.kernel() : fs::path(options.kernel);
    const std::filesystem::path output = places.build / "gdb-output.log";
    options.gdb = true;
    if (options.log_file.empty()) options.log_file = (places.build / "gdb-kernel.log").string();
    progress("output of the program: " + output.string());
    progress("log of the kernel: " + options.log_file);

    pid_t machine = ::fork();
    if (machine < 0) throw system_failure("cannot fork");
    if (machine == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGTERM);
        ::setpgid(0, 0);  // Ctrl-C belongs to gdb
        int log = ::open(output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
        ::dup2(::open("/dev/null", O_RDONLY), 0);
        ::dup2(log, 1);
        ::dup2(log, 2);
        try {
            ::_exit(run_command(options, places));
        } catch (const Failure& failure) {
            ::dprintf(log, "isounik: %s\n", failure.what());
        }
        ::_exit(kToolFailed);
    }
    std::vector<std::string> command = {"gdb",
                                        "-q",
                                        kernel.string(),
                                        "-ex", "set confirm off",
                                        "-ex", "set tcp auto-retry on",
                                        "-ex", "set tcp connect-timeout 30",
                                        "-ex", "directory " + places.source.string(),
                                        "-ex", "set architecture i386:x86-64",
                                        "-ex", "target remote 127.0.0.1:" + std::to_string(kGdbPort)};
    command.insert(command.end(), gdb_arguments.begin(), gdb_arguments.end());
    ::signal(SIGINT, SIG_IGN);
    pid_t gdb = ::fork();
    if (gdb == 0) {
        ::signal(SIGINT, SIG_DFL);
        start(command);
    }
    int status = wait_for(gdb);
    ::kill(machine, SIGKILL);  // QEMU ends with it
    wait_for(machine);
    return status;
}

}  // namespace tool
