#include "boot/control.h"

#include <cstring>
#include <string_view>

#include "core/log.h"
#include "drivers/devices.h"
#include "fs/events/thread_waiter.h"
#include "fs/tty/tty_devices.h"
#include "process/process.h"
#include "process/signal.h"
#include "sched/thread.h"
#include "sched/timer.h"

namespace boot {

namespace {

constexpr process::Pid kFirstProgram = 1;

struct SignalName {
    std::string_view name;
    int number;
};
constexpr SignalName kSignalNames[] = {
    {"HUP", 1},     {"INT", 2},     {"QUIT", 3},    {"ILL", 4},     {"TRAP", 5},  {"ABRT", 6},   {"BUS", 7},
    {"FPE", 8},     {"KILL", 9},    {"USR1", 10},   {"SEGV", 11},   {"USR2", 12}, {"PIPE", 13},  {"ALRM", 14},
    {"TERM", 15},   {"CHLD", 17},   {"CONT", 18},   {"STOP", 19},   {"TSTP", 20}, {"TTIN", 21},  {"TTOU", 22},
    {"URG", 23},    {"XCPU", 24},   {"XFSZ", 25},   {"VTALRM", 26}, {"PROF", 27}, {"WINCH", 28}, {"IO", 29},
    {"PWR", 30},    {"SYS", 31},
};

drivers::Port* control_port() { return drivers::find_port("isounik.control"); }

bool take_word(std::string_view& line, std::string_view& word) {
    while (!line.empty() && line.front() == ' ') line.remove_prefix(1);
    size_t end = line.find(' ');
    word = line.substr(0, end);
    line.remove_prefix(word.size());
    return !word.empty();
}

bool take_number(std::string_view& line, uint16_t& number) {
    std::string_view word;
    if (!take_word(line, word) || word.size() > 5) return false;
    uint32_t value = 0;
    for (char digit : word) {
        if (digit < '0' || digit > '9') return false;
        value = value * 10 + static_cast<uint32_t>(digit - '0');
    }
    if (value > 0xffff) return false;
    number = static_cast<uint16_t>(value);
    return true;
}

bool signal_first_program(std::string_view name) {
    for (const SignalName& entry : kSignalNames) {
        if (entry.name != name) continue;
        auto first = process::find_process(kFirstProgram);
        if (!first) return true;
        process::SignalInfo info = process::simple_signal(entry.number);
        // The keyboard's signals go to the whole group, as from a terminal: a shell that waits for a child expects
        // the child to get them too.
        bool from_keyboard = entry.number == process::kSigInt || entry.number == process::kSigQuit;
        if (from_keyboard) (void)process::send_to_group(first->process_group, info);
        else process::send_signal(*first, info);
        return true;
    }
    return false;
}

bool resize_console(std::string_view arguments) {
    fs::tty::WindowSize size;
    if (!take_number(arguments, size.rows) || !take_number(arguments, size.columns)) return false;
    if (auto console = fs::tty::console()) (void)console->set_window_size(size);
    return true;
}

void obey(std::string_view line) {
    std::string_view rest = line, verb, argument;
    if (!take_word(rest, verb)) return;
    bool understood = false;
    if (verb == "stop") {
        klog::info("the host stops the machine");
        drivers::power_off();
    } else if (verb == "signal") {
        understood = take_word(rest, argument) && signal_first_program(argument);
    } else if (verb == "winsize") {
        understood = resize_console(rest);
    }
    if (!understood) klog::warn("control channel: cannot obey \"{}\"", line);
}

// Lines arrive in pieces. Touched by the port's handler only, which never runs twice at a time.
char line_buffer[128];
size_t line_length = 0;
bool line_too_long = false;

void receive(drivers::Port& port, void*) {
    char chunk[64];
    while (size_t count = port.read(chunk, sizeof chunk)) {
        for (size_t i = 0; i < count; i++) {
            if (chunk[i] != '\n') {
                if (line_length < sizeof line_buffer) line_buffer[line_length++] = chunk[i];
                else line_too_long = true;
                continue;
            }
            if (!line_too_long) obey({line_buffer, line_length});
            line_length = 0;
            line_too_long = false;
        }
    }
}

// Sleeps until the host has taken everything, or has gone.
void drain(drivers::Port& port) {
    while (!port.drained() && !port.host_closed()) {
        fs::ThreadWaiter waiter;
        sched::prepare_sleep(sched::Interruptible::kNo);
        port.changed.add(waiter);
        // The deadline covers devices that announce no completion.
        if (port.drained() || port.host_closed()) sched::cancel_sleep();
        else (void)sched::sleep(sched::monotonic_ns() + 20'000'000);
        port.changed.remove(waiter);
    }
}

void say(std::string_view text) {
    drivers::Port* port = control_port();
    if (!port) return;
    while (!text.empty()) {
        size_t written = port->write(text.data(), text.size());
        text.remove_prefix(written);
        if (written == 0) {
            if (port->host_closed()) return;
            drain(*port);
        }
    }
}

}  // namespace

void start_control() {
    drivers::Port* port = control_port();
    if (!port) return;
    port->handler_context = nullptr;
    port->handler = receive;
    receive(*port, nullptr);  // what came before
}

void report_ready() {
    klog::info("ready: a program listens");
    say("ready\n");
}

void report_exit_and_power_off(int status) {
    for (std::string_view name : {"isounik.stdout", "isounik.stderr", "isounik.tty"}) {
        if (drivers::Port* port = drivers::find_port(name)) drain(*port);
    }
    if (status < 0 || status > 255) status = kMachineFailed;
    char line[16];
    say(klog::format(line, sizeof line, "exit {}\n", status));
    if (drivers::Port* port = control_port()) drain(*port);
    drivers::power_off();
}

}  // namespace boot
