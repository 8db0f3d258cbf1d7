// The control channel (docs/boot-protocol.md, isounik.control): what the host tells the machine, and how the
// machine says how the first program ended.
#pragma once

namespace boot {

// Listens on isounik.control: `signal NAME` goes to the first program (pid 1), `winsize ROWS COLS` to the console,
// `stop` ends the machine. No effect if the host gave no such port. After devices and the first process exist.
void start_control();

// Says `ready`; for net::set_first_listen_hook().
void report_ready();

// The exit status of a machine that failed by itself.
inline constexpr int kMachineFailed = 125;

// Waits until the host has taken all output of the standard streams and the terminal, says `exit STATUS` (0 to 255)
// and powers the machine off. From a kernel thread or the exit path of the first program: it sleeps.
[[noreturn]] void report_exit_and_power_off(int status);

}  // namespace boot
