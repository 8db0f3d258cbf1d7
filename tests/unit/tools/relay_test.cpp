// The relay against a made-up machine: a child process that holds the other ends of the channels.
#include "relay/relay.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <thread>

#include "machine/machine_process.h"
#include "machine/machine_run.h"
#include "support/strings.h"
#include "test_files.h"

namespace tool {
namespace {

/// The machine's ends, inside the child.
struct MachineSide {
    int input, output, errors, control, log;

    static void send(int fd, const std::string& text) {
        for (size_t done = 0; done < text.size();) {
            ssize_t length = ::send(fd, text.data() + done, text.size() - done, MSG_NOSIGNAL);
            if (length <= 0) ::_exit(9);
            done += static_cast<size_t>(length);
        }
    }
    static std::string read_line(int fd) {
        std::string line;
        for (char c; ::read(fd, &c, 1) == 1 && c != '\n';) line += c;
        return line;
    }
    static std::string read_all(int fd) {
        std::string text;
        char buffer[4096];
        for (ssize_t length; (length = ::read(fd, buffer, sizeof buffer)) > 0;)
            text.append(buffer, static_cast<size_t>(length));
        return text;
    }
};

struct Result {
    Relay::Outcome outcome;
    std::string output, errors, log;
};

class RelayTest : public ::testing::Test {
  protected:
    void SetUp() override { ::signal(SIGPIPE, SIG_IGN); }

    /// Runs `machine` in a child and the relay here. `before` is called when both are set up.
    Result run(const std::function<void(MachineSide)>& machine, const std::string& input = "",
               const std::function<void()>& before = [] {}) {
        RelayChannels channels;
        SocketPair pairs[5];
        UniqueFd* ours[5] = {&channels.stdin_channel, &channels.stdout_channel, &channels.stderr_channel,
                             &channels.control, &channels.log};
        for (int i = 0; i < 5; ++i) {
            pairs[i] = SocketPair::create();
            *ours[i] = std::move(pairs[i].ours);
        }
        sigset_t set;
        ::sigemptyset(&set);
        ::sigaddset(&set, SIGINT);
        ::sigaddset(&set, SIGHUP);
        ::sigprocmask(SIG_BLOCK, &set, nullptr);
        UniqueFd signals(::signalfd(-1, &set, SFD_CLOEXEC));

        int stdin_pipe[2], stdout_pipe[2], stderr_pipe[2];
        EXPECT_EQ(::pipe2(stdin_pipe, O_CLOEXEC) | ::pipe2(stdout_pipe, O_CLOEXEC) | ::pipe2(stderr_pipe, O_CLOEXEC), 0);
        pid_t child = ::fork();
        if (child == 0) {
            for (UniqueFd* fd : ours) fd->reset();
            for (const int* pipe : {stdin_pipe, stdout_pipe, stderr_pipe}) {
                ::close(pipe[0]);
                ::close(pipe[1]);
            }
            machine({pairs[0].theirs.get(), pairs[1].theirs.get(), pairs[2].theirs.get(), pairs[3].theirs.get(),
                     pairs[4].theirs.get()});
            ::_exit(0);
        }
        for (SocketPair& pair : pairs) pair.theirs.reset();
        UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));

        Result result;
        std::thread feed([&] {
            for (size_t done = 0; done < input.size();) {
                ssize_t length = ::write(stdin_pipe[1], input.data() + done, input.size() - done);
                if (length <= 0) break;
                done += static_cast<size_t>(length);
            }
            ::close(stdin_pipe[1]);
        });
        if (closed_stdout_) ::close(stdout_pipe[0]);
        std::thread collect_output([&] {
            if (!closed_stdout_) result.output = MachineSide::read_all(stdout_pipe[0]);
        });
        std::thread collect_errors([&] { result.errors = MachineSide::read_all(stderr_pipe[0]); });

        testing::Scratch scratch;
        std::FILE* log_file = std::fopen((scratch / "log").c_str(), "w");
        LogFilter log(log_file, stderr);
        Relay relay(std::move(channels),
                    {.stdin_fd = stdin_pipe[0], .stdout_fd = stdout_pipe[1], .stderr_fd = stderr_pipe[1],
                     .ready_lines = {}},
                    log);
        before();
        result.outcome = relay.run(child, pidfd.get(), signals.get());
        ::waitpid(child, nullptr, 0);
        std::fclose(log_file);
        result.log = read_file(scratch / "log");
        for (int fd : {stdin_pipe[0], stdout_pipe[1], stderr_pipe[1]}) ::close(fd);
        feed.join();
        collect_output.join();
        collect_errors.join();
        if (!closed_stdout_) ::close(stdout_pipe[0]);
        ::close(stderr_pipe[0]);
        return result;
    }

    bool closed_stdout_ = false;
};

std::string every_byte(size_t length) {
    std::string text;
    for (size_t i = 0; i < length; ++i) text += static_cast<char>(i * 7 + i / 256);
    return text;
}

TEST_F(RelayTest, OutputIsExactAndSeparate) {
    const std::string big = every_byte(3'000'000);
    Result result = run([&](MachineSide m) {
        m.send(m.errors, "complaint");
        m.send(m.output, big);
        m.send(m.log, "[0.1] warn: x\r\nlast");
        m.send(m.control, "exit 7\n");
    });
    EXPECT_EQ(result.outcome.program_status, 7);
    EXPECT_TRUE(result.output == big);
    EXPECT_EQ(result.errors, "complaint");
    EXPECT_EQ(result.log, "[0.1] warn: x\nlast\n");
}

TEST_F(RelayTest, InputArrivesAndSoDoesItsEnd) {
    const std::string big = every_byte(1'000'000);
    Result result = run(
        [](MachineSide m) {
            m.send(m.output, m.read_all(m.input));
            m.send(m.control, "exit 0\n");
        },
        big);
    EXPECT_EQ(result.outcome.program_status, 0);
    EXPECT_TRUE(result.output == big);
}

TEST_F(RelayTest, MachineThatEndsWithoutAWordHasNoStatus) {
    EXPECT_FALSE(run([](MachineSide) {}).outcome.program_status);
    EXPECT_FALSE(run([](MachineSide m) { m.send(m.control, "exit 256\nexit -1\nexit\nexit x\nnoise\n"); })
                     .outcome.program_status);
    EXPECT_FALSE(run([](MachineSide m) { m.send(m.control, "exit 3"); }).outcome.program_status) << "no line end";
}

TEST_F(RelayTest, ClosedStdoutIsToldToTheMachine) {
    closed_stdout_ = true;
    Result result = run([](MachineSide m) {
        const std::string text(4096, 'y');
        while (::send(m.output, text.data(), text.size(), MSG_NOSIGNAL) > 0) {
        }
        m.send(m.control, "exit 141\n");
    });
    EXPECT_EQ(result.outcome.program_status, 141);
}

TEST_F(RelayTest, UnreadInputDoesNotHoldTheEndUp) {
    Result result = run([](MachineSide m) { m.send(m.control, "exit 5\n"); }, every_byte(1'000'000));
    EXPECT_EQ(result.outcome.program_status, 5);
}

TEST_F(RelayTest, InterruptIsPassedOn) {
    Result result = run(
        [](MachineSide m) {
            if (m.read_line(m.control) == "signal INT") m.send(m.control, "exit 130\n");
        },
        "", [] { ::kill(::getpid(), SIGINT); });
    EXPECT_EQ(result.outcome.program_status, 130);
    EXPECT_FALSE(result.outcome.stopped);
}

TEST_F(RelayTest, SecondInterruptStopsTheMachine) {
    pid_t self = ::getpid();
    Result result = run(
        [self](MachineSide m) {
            m.read_line(m.control);
            ::usleep(400'000);
            ::kill(self, SIGINT);
            for (;;) ::pause();
        },
        "", [] { ::kill(::getpid(), SIGINT); });
    EXPECT_TRUE(result.outcome.stopped);
    EXPECT_FALSE(result.outcome.program_status);
}

TEST_F(RelayTest, TwoInterruptsAtOnceAreOne) {
    pid_t self = ::getpid();
    Result result = run(
        [self](MachineSide m) {
            m.read_line(m.control);
            ::kill(self, SIGINT);
            ::usleep(100'000);
            m.send(m.control, "exit 130\n");
        },
        "", [] { ::kill(::getpid(), SIGINT); });
    EXPECT_EQ(result.outcome.program_status, 130);
}

TEST_F(RelayTest, OtherSignalsArePassedOnEachTime) {
    pid_t self = ::getpid();
    Result result = run(
        [self](MachineSide m) {
            for (int i = 0; i < 3; ++i) {
                if (m.read_line(m.control) != "signal HUP") ::_exit(1);
                if (i < 2) ::kill(self, SIGHUP);
            }
            m.send(m.control, "exit 0\n");
        },
        "", [] { ::kill(::getpid(), SIGHUP); });
    EXPECT_EQ(result.outcome.program_status, 0);
}

/// A program called qemu-system-x86_64 in front of PATH: run_machine as a whole, with real descriptors.
class FakeQemu {
  public:
    explicit FakeQemu(const std::string& body) : old_path_(std::getenv("PATH")) {
        write_file(scratch_ / "qemu-system-x86_64",
                   "#!/bin/bash\narguments=\"$*\"\n"
                   "channel() { sed -E \"s/.*id=$1,fd=([0-9]+).*/\\1/\" <<<\"$arguments\"; }\n" + body);
        fs::permissions(scratch_ / "qemu-system-x86_64", fs::perms::owner_all);
        ::setenv("PATH", (scratch_.path().string() + ":" + old_path_).c_str(), 1);
    }
    ~FakeQemu() { ::setenv("PATH", old_path_.c_str(), 1); }

  private:
    testing::Scratch scratch_;
    std::string old_path_;
};

TEST(RunMachine, TakesTheStatusFromTheControlChannel) {
    FakeQemu qemu("echo 'exit 42' >&$(channel isounik.control)\n");
    EXPECT_EQ(run_machine({}), 42);
}

TEST(RunMachine, FailedMachineGives125) {
    FakeQemu qemu("exit 0\n");
    EXPECT_EQ(run_machine({}), 125);
}

}  // namespace
}  // namespace tool
