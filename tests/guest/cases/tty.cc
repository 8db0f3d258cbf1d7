// Pseudo-terminals: line discipline, modes, controlling terminal, job control.
#include <pty.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "case.h"

struct Pair {
    int master, slave;
};

static Pair open_pair() {
    Pair pair;
    pair.master = MUST(open("/dev/ptmx", O_RDWR | O_NOCTTY));
    int unlock = 0, number = -1;
    MUST(ioctl(pair.master, TIOCSPTLCK, &unlock));
    MUST(ioctl(pair.master, TIOCGPTN, &number));
    char path[32];
    snprintf(path, sizeof path, "/dev/pts/%d", number);
    pair.slave = MUST(open(path, O_RDWR | O_NOCTTY));
    return pair;
}

static void show_bytes(const char* what, const char* data, ssize_t size) {
    print("%s: ", what);
    if (size < 0) print("%s", errno_name(errno));
    for (ssize_t i = 0; i < size; i++) print(data[i] >= ' ' && data[i] < 127 ? "%c" : "\\%02x", data[i]);
    print("\n");
}

static void show_read(const char* what, int fd) {
    char buffer[256];
    pollfd set = {fd, POLLIN, 0};
    if (poll(&set, 1, 300) == 0) {
        print("%s: nothing\n", what);
        return;
    }
    ssize_t n = read(fd, buffer, sizeof buffer);
    show_bytes(what, buffer, n);
}

// What comes in parts: reads until nothing follows.
static void show_all(const char* what, int fd) {
    char buffer[256];
    ssize_t size = 0, n = 0;
    pollfd set = {fd, POLLIN, 0};
    while (poll(&set, 1, size ? 100 : 300) > 0 && (n = read(fd, buffer + size, sizeof buffer - size)) > 0) size += n;
    if (size == 0)
        print("%s: nothing\n", what);
    else
        show_bytes(what, buffer, size);
}

CASE(canonical_lines_and_echo) {
    COVERS(ioctl, read, write);
    Pair pair = open_pair();
    CHECK(isatty(pair.slave) && isatty(pair.master));
    MUST(write(pair.master, "one\ntw", 6));
    show_read("line", pair.slave);
    show_read("incomplete", pair.slave);
    MUST(write(pair.master, "o\n", 2));
    show_read("line", pair.slave);
    show_all("echo", pair.master);
    MUST(write(pair.slave, "out\n", 4));
    show_all("output", pair.master);
}

CASE(editing_keys) {
    Pair pair = open_pair();
    MUST(write(pair.master, "abc\177d\n", 6));
    show_read("erase", pair.slave);
    MUST(write(pair.master, "killed\025kept\n", 12));
    show_read("kill", pair.slave);
    MUST(write(pair.master, "end\004", 4));
    show_read("end of file with data", pair.slave);
    MUST(write(pair.master, "\004", 1));
    show_read("end of file", pair.slave);
}

CASE(raw_mode) {
    COVERS_ERROR(ioctl);
    Pair pair = open_pair();
    termios mode;
    SHOW(tcgetattr(pair.slave, &mode));
    CHECK(mode.c_lflag & ICANON && mode.c_lflag & ECHO && mode.c_lflag & ISIG);
    cfmakeraw(&mode);
    SHOW(tcsetattr(pair.slave, TCSANOW, &mode));
    MUST(write(pair.master, "a\r\003b", 4));
    show_read("raw", pair.slave);
    show_all("echo", pair.master);
    MUST(write(pair.slave, "x\n", 2));
    show_all("output", pair.master);
    SHOW(ioctl(pair.slave, TCGETS, bad_address()));
    SHOW(tcgetattr(0, &mode));
}

CASE(window_size) {
    COVERS(ioctl);
    Pair pair = open_pair();
    winsize size = {};
    SHOW(ioctl(pair.slave, TIOCGWINSZ, &size));
    print("%d %d\n", size.ws_row, size.ws_col);
    size = {25, 90, 0, 0};
    SHOW(ioctl(pair.master, TIOCSWINSZ, &size));
    size = {};
    SHOW(ioctl(pair.slave, TIOCGWINSZ, &size));
    print("%d %d\n", size.ws_row, size.ws_col);
}

CASE(hangup) {
    Pair pair = open_pair();
    close(pair.slave);
    show_read("slave closed", pair.master);
    pair = open_pair();
    close(pair.master);
    show_read("master closed", pair.slave);
    SHOW(write(pair.slave, "x", 1));
}

CASE(controlling_terminal) {
    COVERS(setsid, ioctl);
    COVERS_ERROR(ioctl);
    show_child("session", [] {
        Pair pair = open_pair();
        SHOW(open("/dev/tty", O_RDWR));
        setsid();
        SHOW(ioctl(pair.slave, TIOCSCTTY, 0));
        SHOW_OK(open("/dev/tty", O_RDWR));
        CHECK(tcgetsid(pair.slave) == getpid());
        CHECK(tcgetpgrp(pair.slave) == getpgrp());
        SHOW(tcsetpgrp(pair.slave, 999999));
        SHOW(tcsetpgrp(pair.slave, getpgrp()));
        return 0;
    });
}

CASE(keyboard_signals) {
    show_child("session", [] {
        Pair pair = open_pair();
        setsid();
        MUST(ioctl(pair.slave, TIOCSCTTY, 0));
        static volatile sig_atomic_t got;
        struct sigaction action = {};
        action.sa_handler = [](int signal) { got = signal; };
        sigaction(SIGINT, &action, nullptr);
        sigaction(SIGQUIT, &action, nullptr);
        sigaction(SIGWINCH, &action, nullptr);
        auto show = [](const char* what) {
            for (int i = 0; i < 100 && !got; i++) sleep_ms(5);
            print("%s: %s\n", what, got ? signal_name(got) : "no signal");
            got = 0;
        };
        MUST(write(pair.master, "\003", 1));
        show("ctrl-c");
        MUST(write(pair.master, "\034", 1));
        show("ctrl-backslash");
        winsize size = {11, 22, 0, 0};
        MUST(ioctl(pair.master, TIOCSWINSZ, &size));
        show("window size");
        return 0;
    });
}

CASE(background_job_stops_on_read) {
    show_child("session", [] {
        Pair pair = open_pair();
        setsid();
        MUST(ioctl(pair.slave, TIOCSCTTY, 0));
        pid_t pid = spawn([&] {
            setpgid(0, 0);
            char byte;
            return (int)read(pair.slave, &byte, 1);
        });
        setpgid(pid, pid);
        int status;
        MUST(waitpid(pid, &status, WUNTRACED));
        print("background read: %s\n", decode_status(status));
        kill(pid, SIGKILL);
        wait_for(pid);
        return 0;
    });
}

CASE(leader_exit_hangs_up_foreground) {
    int fds[2];
    MUST(pipe(fds));
    show_child("session leader", [&] {
        Pair pair = open_pair();
        setsid();
        MUST(ioctl(pair.slave, TIOCSCTTY, 0));
        Turn ready;
        spawn([&] {
            struct sigaction action = {};
            static int report;
            report = fds[1];
            action.sa_handler = [](int) { write(report, "hangup", 6), _exit(0); };
            sigaction(SIGHUP, &action, nullptr);
            ready.signal();
            for (;;) pause();
            return 0;
        });
        ready.wait();
        return 0;
    });
    char buffer[16] = "";
    SHOW(read(fds[0], buffer, 15));
    print("%s\n", buffer);
}

static void show_termio(const char* what, const struct termio& settings) {
    print("%s: %04x %04x %04x %04x line %d, keys", what, settings.c_iflag, settings.c_oflag, settings.c_cflag,
          settings.c_lflag, settings.c_line);
    for (unsigned char key : settings.c_cc) print(" %d", key);
    print("\n");
}

CASE(termio_of_system_v) {
    COVERS(ioctl);
    COVERS_ERROR(ioctl);
    Pair pair = open_pair();
    struct termio old;
    SHOW(ioctl(pair.slave, TCGETA, &old));
    show_termio("slave", old);
    SHOW(ioctl(pair.master, TCGETA, &old));
    show_termio("master", old);
    // The high halves and the keys from the ninth on stay.
    termios settings;
    MUST(tcgetattr(pair.slave, &settings));
    settings.c_cc[VSTOP] = 1;
    settings.c_iflag |= IUTF8;
    settings.c_cflag |= CRTSCTS;
    MUST(tcsetattr(pair.slave, TCSANOW, &settings));
    MUST(ioctl(pair.slave, TCGETA, &old));
    old.c_lflag &= ~ECHO;
    old.c_cc[VERASE] = '#';
    SHOW(ioctl(pair.slave, TCSETA, &old));
    MUST(tcgetattr(pair.slave, &settings));
    print("%x %x %x %x stop %d erase %d\n", settings.c_iflag, settings.c_oflag, settings.c_cflag, settings.c_lflag,
          settings.c_cc[VSTOP], settings.c_cc[VERASE]);
    MUST(write(pair.master, "ab#c\n", 5));
    show_read("erased", pair.slave);
    show_read("not echoed", pair.master);
    MUST(write(pair.master, "kept\n", 5));
    SHOW(ioctl(pair.slave, TCSETAW, &old));
    show_read("after TCSETAW", pair.slave);
    MUST(write(pair.master, "lost\n", 5));
    SHOW(ioctl(pair.slave, TCSETAF, &old));
    show_read("after TCSETAF", pair.slave);
    SHOW(ioctl(pair.slave, TCGETA, bad_address()));
    SHOW(ioctl(pair.slave, TCSETA, bad_address()));
    SHOW(ioctl(MUST(open("/dev/null", O_RDWR)), TCGETA, &old));
}
