// Between a running machine and the tool's own standard streams.
#pragma once

#include <chrono>
#include <csignal>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "relay/log_filter.h"
#include "support/unique_fd.h"

namespace tool {

/// The tool's ends of the machine's channels (docs/boot-protocol.md). With a terminal, `tty` instead of the three
/// standard streams.
struct RelayChannels {
    UniqueFd stdin_channel;
    UniqueFd stdout_channel;
    UniqueFd stderr_channel;
    UniqueFd tty;
    UniqueFd control;
    UniqueFd log;
};

struct RelayOptions {
    int stdin_fd = 0;
    int stdout_fd = 1;
    int stderr_fd = 2;
    std::vector<std::string> ready_lines;  // shown on stderr when the guest says that it is ready
};

/// Carries bytes both ways until the machine has ended and all its output is delivered.
class Relay {
  public:
    Relay(RelayChannels channels, RelayOptions options, LogFilter& log);
    ~Relay();
    Relay(const Relay&) = delete;
    Relay& operator=(const Relay&) = delete;

    struct Outcome {
        std::optional<int> program_status;  // what the guest said; none if it ended without a word
        bool stopped = false;               // a person (or a signal) stopped the machine
        bool killed = false;                // it did not power off by itself
    };

    /// `machine` is a pidfd of QEMU: readable when it has ended. `signals` is a signalfd.
    Outcome run(pid_t machine_pid, int machine, int signals);

  private:
    /// One direction of one stream: at most one chunk is in flight, so that a slow reader slows the writer down.
    struct Pump {
        UniqueFd* channel = nullptr;
        int target = -1;
        std::string pending;
        bool target_gone = false;
    };

    void read_input();
    void flush_input();
    void end_input();
    void read_output(Pump& pump);
    void flush_output(Pump& pump);
    void read_control();
    void control_line(std::string_view line);
    void send_control(const std::string& line);
    void flush_control();
    void handle_signal(int signal);
    void send_window_size();
    void read_log();
    bool output_finished() const;

    RelayChannels channels_;
    RelayOptions options_;
    LogFilter& log_;
    std::vector<Pump> outputs_;
    std::string input_;          // read from the host, not yet taken by the machine
    bool input_open_ = true;     // the host's stdin may still give something
    bool input_ended_ = false;   // the guest has been told about its end
    std::string control_in_;
    std::string control_out_;
    int interrupts_ = 0;
    std::chrono::steady_clock::time_point last_interrupt_;
    int escapes_ = 0;  // Ctrl-] typed in a row, on a terminal
    pid_t machine_pid_ = -1;
    Outcome outcome_;
};

}  // namespace tool
