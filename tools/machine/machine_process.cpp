#include "machine/machine_process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "support/failure.h"

namespace tool {

SocketPair SocketPair::create() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        throw system_failure("cannot make a pair of sockets");
    ::fcntl(ends[1], F_SETFD, 0);
    SocketPair pair;
    pair.ours = UniqueFd(ends[0]);
    pair.theirs = UniqueFd(ends[1]);
    return pair;
}

namespace {

[[noreturn]] void become(const std::vector<std::string>& command, pid_t parent, int report) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
    ::setpgid(0, 0);  // Ctrl-C is for the tool, which passes it on
    int null = ::open("/dev/null", O_RDWR);
    ::dup2(null, 0);
    ::dup2(null, 1);
    if (null > 2) ::close(null);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::signal(SIGPIPE, SIG_DFL);
    std::vector<char*> arguments;
    for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    ::execvp(arguments[0], arguments.data());
    int error = errno;
    (void)!::write(report, &error, sizeof error);
    ::_exit(127);
}

}  // namespace

MachineProcess::MachineProcess(const std::vector<std::string>& command) {
    int report[2];
    if (::pipe2(report, O_CLOEXEC) != 0) throw system_failure("cannot make a pipe");
    UniqueFd reading(report[0]), writing(report[1]);
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ < 0) throw system_failure("cannot fork");
    if (pid_ == 0) become(command, parent, writing.get());
    running_ = true;
    writing.reset();
    int error = 0;
    if (::read(reading.get(), &error, sizeof error) == static_cast<ssize_t>(sizeof error)) {
        wait();
        if (error == ENOENT)
            throw Failure(command[0] + " is not installed", "install it: apt-get install qemu-system-x86");
        throw Failure("cannot start " + command[0] + ": " + std::strerror(error));
    }
    pidfd_ = UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
    if (!pidfd_) throw system_failure("cannot watch " + command[0]);
}

MachineProcess::~MachineProcess() {
    if (!running_) return;
    ::kill(pid_, SIGKILL);
    wait();
}

int MachineProcess::wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    running_ = false;
    return status;
}

}  // namespace tool
