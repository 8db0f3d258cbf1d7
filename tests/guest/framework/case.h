// Guest test cases: Linux programs whose output must be the same on Linux and on Iso-UniK.
//
//   CASE(read_errors) {
//       COVERS(read);             // these calls succeed somewhere in this case
//       COVERS_ERROR(read);       // these calls fail somewhere in this case
//       SHOW(read(-1, buf, 1));   // prints "read(-1, buf, 1) = -1 EBADF"
//   }
//
// Each case runs in a forked child that leads its own process group and has its own alarm. What it prints must
// be the same on every run: results, errno names, decoded statuses; never addresses, pids or times.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

namespace guest_test {

struct Case {
    Case(const char* name, void (*run)(), unsigned limit_s);
    const char* name;
    void (*run)();
    unsigned limit_s;
    Case* next = nullptr;
};

// A second entry point of the same program, reached as `PROGRAM --helper NAME ARGS...` after an exec.
struct Helper {
    Helper(const char* name, int (*run)(int argc, char** argv));
    const char* name;
    int (*run)(int argc, char** argv);
    Helper* next = nullptr;
};

inline constexpr unsigned kDefaultLimitS = 20;

// One write(2) per call, so that lines of several processes never mix.
void print(const char* format, ...) __attribute__((format(printf, 1, 2)));

// "what = 7" or "what = -1 EBADF".
void show_result(const char* what, long result);
// "what = ok" or "what = -1 EBADF": for results that differ from run to run.
void show_success(const char* what, bool success);

// "exit 3", "killed by SEGV", "stopped by STOP", "continued". The buffer is static.
const char* decode_status(int status);

const char* errno_name(int error);
const char* signal_name(int signal);

// An address that no access may reach (a page without permissions).
void* bad_address();
// A page that may be read only.
void* read_only_page();

// Directory of this program, and the path it was started by; both absolute.
const char* self_directory();
const char* self_path();

// Makes an empty directory below /tmp for this case and enters it.
void enter_scratch_directory();

int64_t monotonic_ms();
void sleep_ms(int64_t ms);

// fork(), run body in the child, _exit with its result. Returns the pid.
template <typename Body>
pid_t spawn(Body&& body) {
    pid_t pid = fork();
    if (pid < 0) {
        print("fork: %s\n", errno_name(errno));
        _exit(99);
    }
    if (pid == 0) _exit(body());
    return pid;
}

// Waits for pid and returns its raw status; ends the case if that fails.
int wait_for(pid_t pid);

// spawn + wait_for + print "what: exit 0".
template <typename Body>
void show_child(const char* what, Body&& body) {
    print("%s: %s\n", what, decode_status(wait_for(spawn(body))));
}

// Lets two processes or threads take turns: signal() in one ends wait() in the other.
class Turn {
  public:
    Turn();
    void signal();
    void wait();

  private:
    int fds_[2];
};

}  // namespace guest_test

using namespace guest_test;

#define CASE_WITH_LIMIT(name, limit_s)                               \
    static void case_##name();                                       \
    static guest_test::Case registered_##name(#name, case_##name, limit_s); \
    static void case_##name()
#define CASE(name) CASE_WITH_LIMIT(name, guest_test::kDefaultLimitS)

#define HELPER(name)                                                        \
    static int helper_##name(int argc, char** argv);                        \
    static guest_test::Helper registered_helper_##name(#name, helper_##name); \
    static int helper_##name([[maybe_unused]] int argc, [[maybe_unused]] char** argv)

// Read from the sources at build time (extract_covers); they expand to nothing.
#define COVERS(...)
#define COVERS_ERROR(...)
#define NO_ERROR_PATH(...)

#define SHOW(expression) guest_test::show_result(#expression, (long)(expression))
#define SHOW_OK(expression) guest_test::show_success(#expression, (long)(expression) != -1)
// Prints "condition: yes" or "condition: no".
#define CHECK(condition) guest_test::print("%s: %s\n", #condition, (condition) ? "yes" : "no")
// Setting up: fails the case with errno when it returns -1.
#define MUST(expression)                                                                                \
    ({                                                                                                  \
        auto must_result_ = (expression);                                                               \
        if ((long)must_result_ == -1) {                                                                 \
            guest_test::print("setup failed: %s: %s\n", #expression, guest_test::errno_name(errno));    \
            _exit(98);                                                                                  \
        }                                                                                               \
        must_result_;                                                                                   \
    })
