#include "machine/machine_run.h"

#include <fcntl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>

#include "machine/machine_process.h"
#include "relay/relay.h"
#include "relay/terminal.h"
#include "support/failure.h"
#include "support/strings.h"

namespace tool {

namespace {

constexpr int kPassedSignals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};

UniqueFd watch_signals() {
    sigset_t set;
    ::sigemptyset(&set);
    for (int signal : kPassedSignals) ::sigaddset(&set, signal);
    ::sigprocmask(SIG_BLOCK, &set, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    ::signal(SIGTTIN, SIG_IGN);
    UniqueFd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!fd) throw system_failure("cannot watch signals");
    return fd;
}

/// The sockets of one machine: the tool's ends, and QEMU's, which are closed here once QEMU runs.
struct Channels {
    RelayChannels ours;
    std::vector<UniqueFd> theirs;

    void add(MachineConfig& machine, const char* name, UniqueFd& mine) {
        SocketPair pair = SocketPair::create();
        machine.channels.push_back({name, pair.theirs.get()});
        mine = std::move(pair.ours);
        theirs.push_back(std::move(pair.theirs));
    }
};

Channels make_channels(MachineConfig& machine, bool terminal) {
    Channels channels;
    channels.add(machine, "isounik.control", channels.ours.control);
    if (terminal) {
        channels.add(machine, "isounik.tty", channels.ours.tty);
    } else {
        channels.add(machine, "isounik.stdin", channels.ours.stdin_channel);
        channels.add(machine, "isounik.stdout", channels.ours.stdout_channel);
        channels.add(machine, "isounik.stderr", channels.ours.stderr_channel);
    }
    SocketPair log = SocketPair::create();
    machine.serial_fd = log.theirs.get();
    channels.ours.log = std::move(log.ours);
    channels.theirs.push_back(std::move(log.theirs));
    return channels;
}

void print_command(const std::vector<std::string>& command) {
    std::vector<std::string> words;
    for (const std::string& word : command) words.push_back(shell_quote(word));
    std::printf("%s\n", join(words, " ").c_str());
}

std::string how_it_ended(int status) {
    if (WIFSIGNALED(status)) return std::string("QEMU was ended by signal ") + ::sigabbrev_np(WTERMSIG(status));
    return "QEMU ended with status " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

int run_machine(MachineRun run) {
    Channels channels = make_channels(run.machine, run.terminal);
    const std::vector<std::string> command = qemu_command(run.machine);
    if (run.dry_run) {
        print_command(command);
        return 0;
    }
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> log_file(nullptr, std::fclose);
    if (!run.log_file.empty()) {
        log_file.reset(std::fopen(run.log_file.c_str(), "we"));
        if (!log_file) throw system_failure("cannot write the log " + run.log_file);
    }
    UniqueFd signals = watch_signals();
    MachineProcess qemu(command);
    channels.theirs.clear();

    LogFilter log(log_file.get(), stderr);
    Relay relay(std::move(channels.ours), {.ready_lines = std::move(run.ready_lines)}, log);
    Relay::Outcome outcome;
    {
        std::optional<RawTerminal> raw;
        if (run.terminal) raw.emplace(0);
        if (raw && raw->active()) log.set_line_end("\r\n");
        outcome = relay.run(qemu.pid(), qemu.pidfd(), signals.get());
    }
    int status = qemu.wait();
    if (outcome.program_status) return *outcome.program_status;
    if (outcome.stopped) {
        std::fprintf(stderr, "isounik: the machine was stopped\n");
    } else {
        log.show_tail();
        std::fprintf(stderr, "isounik: the machine ended before its program did (%s)\n", how_it_ended(status).c_str());
    }
    return kToolFailed;
}

}  // namespace tool
