#include "relay/relay.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>

#include "support/failure.h"

namespace tool {

namespace {

// A pipe that polls writable takes this much without blocking (pipe(7), PIPE_BUF). The tool's own streams must not
// be made non-blocking: other processes share them.
constexpr size_t kChunk = 4096;
constexpr auto kPowerOffGrace = std::chrono::seconds(10);
// timeout(1) and others signal both the process and its group: that is one request.
constexpr auto kSameInterrupt = std::chrono::milliseconds(200);
constexpr char kEscape = 0x1d;  // Ctrl-], twice: stop the machine

void make_nonblocking(const UniqueFd& fd) {
    if (fd) ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
}

bool would_block() { return errno == EAGAIN || errno == EINTR; }

}  // namespace

Relay::Relay(RelayChannels channels, RelayOptions options, LogFilter& log)
    : channels_(std::move(channels)), options_(std::move(options)), log_(log) {
    for (UniqueFd* fd : {&channels_.stdin_channel, &channels_.stdout_channel, &channels_.stderr_channel,
                         &channels_.tty, &channels_.control, &channels_.log})
        make_nonblocking(*fd);
    if (channels_.tty) {
        outputs_.push_back({.channel = &channels_.tty, .target = options_.stdout_fd, .pending = {}});
    } else {
        outputs_.push_back({.channel = &channels_.stdout_channel, .target = options_.stdout_fd, .pending = {}});
        outputs_.push_back({.channel = &channels_.stderr_channel, .target = options_.stderr_fd, .pending = {}});
    }
}

Relay::~Relay() = default;

bool Relay::output_finished() const {
    return std::all_of(outputs_.begin(), outputs_.end(),
                       [](const Pump& pump) { return !*pump.channel && pump.pending.empty(); });
}

Relay::Outcome Relay::run(pid_t machine_pid, int machine, int signals) {
    using Clock = std::chrono::steady_clock;
    machine_pid_ = machine_pid;
    bool machine_runs = true;
    // The guest has said good-bye and should be gone by then.
    constexpr Clock::time_point kNever = Clock::time_point::max();
    Clock::time_point deadline = kNever;
    if (channels_.tty) send_window_size();

    // All channels end when QEMU does; only then is everything that the guest wrote delivered.
    while (machine_runs || !output_finished() || channels_.control || channels_.log) {
        UniqueFd& input_channel = channels_.tty ? channels_.tty : channels_.stdin_channel;
        std::vector<pollfd> polls;
        auto watch = [&polls](int fd, short events) {
            polls.push_back({.fd = fd, .events = events, .revents = 0});
            return polls.size() - 1;
        };
        size_t signal_at = watch(signals, POLLIN);
        size_t machine_at = watch(machine_runs ? machine : -1, POLLIN);
        size_t control_at = watch(channels_.control.get(),
                                  static_cast<short>(POLLIN | (control_out_.empty() ? 0 : POLLOUT)));
        size_t log_at = watch(channels_.log.get(), POLLIN);
        size_t stdin_at = watch(input_open_ && input_.empty() && machine_runs ? options_.stdin_fd : -1, POLLIN);
        size_t input_at = watch(input_.empty() ? -1 : input_channel.get(), POLLOUT);
        size_t first_output = polls.size();
        for (const Pump& pump : outputs_) {
            watch(pump.pending.empty() ? pump.channel->get() : -1, POLLIN);
            watch(pump.pending.empty() ? -1 : pump.target, POLLOUT);
        }
        int timeout = -1;
        if (deadline != kNever && machine_runs) {
            auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
            timeout = static_cast<int>(std::max<long long>(left, 0));
        }
        int ready = ::poll(polls.data(), polls.size(), timeout);
        if (ready < 0) {
            if (errno == EINTR) continue;
            throw system_failure("cannot wait for the machine");
        }
        if (ready == 0) {
            std::fprintf(stderr, "isounik: the machine does not power off; ending it\n");
            ::kill(machine_pid_, SIGKILL);
            deadline = kNever;
            outcome_.killed = true;
            continue;
        }
        if (polls[signal_at].revents) {
            signalfd_siginfo info;
            if (::read(signals, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
                int number = static_cast<int>(info.ssi_signo);
                // A hang-up by the kernel means that the terminal is gone; a process that sends one means it.
                if (number == SIGHUP && info.ssi_code == SI_KERNEL) number = SIGTERM;
                if (!machine_runs && number != SIGWINCH) break;  // whoever reads our output does not go on
                handle_signal(number);
            }
        }
        if (polls[log_at].revents) read_log();
        if (polls[control_at].revents) {
            flush_control();
            read_control();
        }
        if (polls[stdin_at].revents) read_input();
        if (polls[input_at].revents) flush_input();
        for (size_t i = 0; i < outputs_.size(); ++i) {
            if (polls[first_output + 2 * i].revents) read_output(outputs_[i]);
            if (polls[first_output + 2 * i + 1].revents) flush_output(outputs_[i]);
        }
        if (polls[machine_at].revents) machine_runs = false;
        if (outcome_.program_status && deadline == kNever && !outcome_.killed) deadline = Clock::now() + kPowerOffGrace;
    }
    log_.finish();
    return outcome_;
}

void Relay::read_input() {
    char buffer[kChunk];
    ssize_t length = ::read(options_.stdin_fd, buffer, sizeof buffer);
    if (length < 0 && would_block()) return;
    if (length < 0 && errno == EIO) {  // a background job may not read its terminal: there is simply no input
        input_open_ = false;
        return;
    }
    if (length <= 0) {
        input_open_ = false;
        end_input();
        return;
    }
    input_.assign(buffer, static_cast<size_t>(length));
    if (channels_.tty) {
        escapes_ = input_ == std::string(1, kEscape) ? escapes_ + 1 : 0;
        if (escapes_ >= 2) {
            outcome_.stopped = true;
            ::kill(machine_pid_, SIGKILL);
        }
    }
    flush_input();
}

void Relay::flush_input() {
    UniqueFd& channel = channels_.tty ? channels_.tty : channels_.stdin_channel;
    if (!channel) {
        input_.clear();
        return;
    }
    ssize_t length = ::send(channel.get(), input_.data(), input_.size(), MSG_NOSIGNAL);
    if (length < 0 && would_block()) return;
    if (length < 0) {  // the machine has ended, or takes no input
        input_.clear();
        input_open_ = false;
        return;
    }
    input_.erase(0, static_cast<size_t>(length));
}

// Only the writing half is shut: QEMU drops what it has not read yet when it sees a socket closed on both sides.
void Relay::end_input() {
    if (channels_.tty) {
        input_ = "\x04";  // end of file, as a person types it
        flush_input();
    } else if (channels_.stdin_channel) {
        ::shutdown(channels_.stdin_channel.get(), SHUT_WR);
    }
}

void Relay::read_output(Pump& pump) {
    char buffer[kChunk];
    ssize_t length = ::read(pump.channel->get(), buffer, sizeof buffer);
    if (length < 0 && would_block()) return;
    if (length <= 0) {
        pump.channel->reset();
        return;
    }
    pump.pending.assign(buffer, static_cast<size_t>(length));
    flush_output(pump);
}

void Relay::flush_output(Pump& pump) {
    pollfd target = {.fd = pump.target, .events = POLLOUT, .revents = 0};
    if (!pump.target_gone && ::poll(&target, 1, 0) == 0) return;
    ssize_t length = ::write(pump.target, pump.pending.data(), pump.pending.size());
    if (length < 0 && would_block()) return;
    if (length < 0) {  // nobody reads any more: the guest learns it as a closed port
        pump.pending.clear();
        pump.channel->reset();
        return;
    }
    pump.pending.erase(0, static_cast<size_t>(length));
}

void Relay::read_log() {
    char buffer[kChunk];
    ssize_t length = ::read(channels_.log.get(), buffer, sizeof buffer);
    if (length < 0 && would_block()) return;
    if (length <= 0) {
        channels_.log.reset();
        return;
    }
    log_.feed({buffer, static_cast<size_t>(length)});
}

void Relay::read_control() {
    char buffer[kChunk];
    ssize_t length = ::read(channels_.control.get(), buffer, sizeof buffer);
    if (length < 0 && would_block()) return;
    if (length <= 0) {
        channels_.control.reset();
        return;
    }
    control_in_.append(buffer, static_cast<size_t>(length));
    for (size_t end; (end = control_in_.find('\n')) != std::string::npos;) {
        control_line(std::string_view(control_in_).substr(0, end));
        control_in_.erase(0, end + 1);
    }
}

void Relay::control_line(std::string_view line) {
    if (line.starts_with("exit ")) {
        int status = -1;
        std::from_chars(line.data() + 5, line.data() + line.size(), status);
        if (status >= 0 && status <= 255) outcome_.program_status = status;
    } else if (line == "ready") {
        for (const std::string& text : options_.ready_lines)
            std::fprintf(stderr, "%s%s", text.c_str(), channels_.tty ? "\r\n" : "\n");
    }
}

void Relay::send_control(const std::string& line) {
    control_out_ += line + '\n';
    flush_control();
}

void Relay::flush_control() {
    if (!channels_.control || control_out_.empty()) return;
    ssize_t length = ::send(channels_.control.get(), control_out_.data(), control_out_.size(), MSG_NOSIGNAL);
    if (length > 0) control_out_.erase(0, static_cast<size_t>(length));
    if (length < 0 && !would_block()) control_out_.clear();
}

void Relay::handle_signal(int signal) {
    if (signal == SIGWINCH) {
        if (channels_.tty) send_window_size();
        return;
    }
    if (signal == SIGINT || signal == SIGTERM) {
        const auto now = std::chrono::steady_clock::now();
        if (interrupts_ && now - last_interrupt_ < kSameInterrupt) return;
        last_interrupt_ = now;
        if (++interrupts_ > 1) {
            outcome_.stopped = true;
            ::kill(machine_pid_, SIGKILL);  // it has no state to save
            return;
        }
    }
    send_control(std::string("signal ") + ::sigabbrev_np(signal));
}

void Relay::send_window_size() {
    winsize size = {};
    if (::ioctl(options_.stdout_fd, TIOCGWINSZ, &size) != 0 || size.ws_row == 0) return;
    send_control("winsize " + std::to_string(size.ws_row) + ' ' + std::to_string(size.ws_col));
    send_control("signal WINCH");
}

}  // namespace tool
