// Runs the cases of one test program. See case.h.
#include "case.h"

#include <libgen.h>
#include <limits.h>
#include <stdarg.h>

namespace guest_test {
namespace {

Case* first_case = nullptr;
Case** last_case = &first_case;
Helper* first_helper = nullptr;
char self_path_buffer[PATH_MAX];
char self_directory_buffer[PATH_MAX];
volatile sig_atomic_t alarm_rang = 0;

void on_alarm(int) { alarm_rang = 1; }

// The case's own alarm ends it; this one is for a case that blocks, ignores or loses that alarm.
constexpr unsigned kGraceS = 5;

void run_case(const Case& test) {
    print("== %s\n", test.name);
    pid_t pid = fork();
    if (pid < 0) {
        print("-- fork failed %s\n", errno_name(errno));
        return;
    }
    if (pid == 0) {
        setpgid(0, 0);
        for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, nullptr);
        alarm(test.limit_s);
        test.run();
        _exit(0);
    }
    setpgid(pid, pid);

    alarm_rang = 0;
    alarm(test.limit_s + kGraceS);
    int status = 0;
    pid_t waited;
    while ((waited = waitpid(pid, &status, 0)) < 0 && errno == EINTR && !alarm_rang) {
    }
    alarm(0);
    kill(-pid, SIGKILL);  // whatever the case left behind
    if (waited != pid) {
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        print("-- hang\n");
    } else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) {
        print("-- hang\n");
    } else if (status == 0) {
        print("-- done\n");
    } else {
        print("-- %s\n", decode_status(status));
    }
}

int run_helper(int argc, char** argv) {
    for (Helper* helper = first_helper; helper; helper = helper->next)
        if (strcmp(helper->name, argv[0]) == 0) return helper->run(argc, argv);
    print("no helper named %s\n", argv[0]);
    return 97;
}

bool wanted(const Case& test, int argc, char** argv) {
    if (argc == 0) return true;
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], test.name) == 0) return true;
    return false;
}

void find_self(const char* argv0) {
    if (!realpath(argv0, self_path_buffer)) snprintf(self_path_buffer, sizeof self_path_buffer, "%s", argv0);
    snprintf(self_directory_buffer, sizeof self_directory_buffer, "%s", self_path_buffer);
    if (char* slash = strrchr(self_directory_buffer, '/')) *slash = 0;
}

int run_all(int argc, char** argv) {
    const char* after = nullptr;  // skip up to and with this case
    if (argc >= 2 && strcmp(argv[0], "--after") == 0) {
        after = argv[1];
        argc -= 2;
        argv += 2;
    }
    struct sigaction action = {};
    action.sa_handler = on_alarm;
    sigaction(SIGALRM, &action, nullptr);
    for (Case* test = first_case; test; test = test->next) {
        if (after) {
            if (strcmp(after, test->name) == 0) after = nullptr;
            continue;
        }
        if (wanted(*test, argc, argv)) run_case(*test);
    }
    print("== end\n");
    return 0;
}

}  // namespace

Case::Case(const char* name, void (*run)(), unsigned limit_s) : name(name), run(run), limit_s(limit_s) {
    *last_case = this;
    last_case = &next;
}

Helper::Helper(const char* name, int (*run)(int, char**)) : name(name), run(run), next(first_helper) {
    first_helper = this;
}

const char* self_directory() { return self_directory_buffer; }
const char* self_path() { return self_path_buffer; }

}  // namespace guest_test

int main(int argc, char** argv) {
    find_self(argv[0]);
    if (argc >= 3 && strcmp(argv[1], "--helper") == 0) return run_helper(argc - 2, argv + 2);
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (Case* test = first_case; test; test = test->next) print("%s\n", test->name);
        return 0;
    }
    return run_all(argc - 1, argv + 1);
}
