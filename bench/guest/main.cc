// isobench [ROW...]: runs all rows, or those whose names begin with one of the arguments; an argument that ends with $
// is a whole name.
#include <errno.h>
#include <sys/personality.h>
#include <sys/utsname.h>

#include <algorithm>

#include "bench.h"

namespace isobench {

static Row* first_row = nullptr;
static Row** last_row = &first_row;

Row::Row(const char* name, void (*run)(const char*)) : name(name), run(run) {
    *last_row = this;
    last_row = &next;
}

void print_median(const char* name, uint64_t* samples, int count) {
    std::sort(samples, samples + count);
    printf("%s %lu\n", name, (unsigned long)samples[count / 2]);
    fflush(stdout);
}

void print_value(const char* name, double value) {
    printf("%s %.1f\n", name, value);
    fflush(stdout);
}

void skip(const char* why) {
    printf("# skipped: %s\n", why);
    fflush(stdout);
    _exit(0);
}

void fail(const char* what) {
    fprintf(stderr, "isobench: %s: %s\n", what, strerror(errno));
    _exit(1);
}

}  // namespace isobench

static bool begins(const char* name, const char* with) {
    const size_t length = strlen(with);
    if (length && with[length - 1] == '$') return strlen(name) == length - 1 && strncmp(name, with, length - 1) == 0;
    return strncmp(name, with, length) == 0;
}

static bool wanted(const Row& row, int argc, char** argv) {
    if (argc == 1) return true;
    for (int i = 1; i < argc; i++) {
        if (begins(row.name, argv[i])) return true;
        if (!strstr(row.name, "MiB_")) continue;
        // fork_64MiB_4k prints three figures, with names of their own.
        for (const char* kind : {"touch", "fork_exit_wait", "fork_only"}) {
            char name[64];
            snprintf(name, sizeof name, "%s%s", kind, strchr(row.name, '_'));
            if (begins(name, argv[i])) return true;
        }
    }
    return false;
}

// Addresses chosen at random change how many page tables a process has, and with them what its fork takes: every
// run shall count the same.
static void fix_addresses(char** argv) {
    const int now = personality(0xffffffff);
    if (now < 0 || (now & ADDR_NO_RANDOMIZE) || personality((unsigned)now | ADDR_NO_RANDOMIZE) < 0) return;
    execv("/proc/self/exe", argv);
}

int main(int argc, char** argv) {
    uint64_t start = ticks();  // with a counter that starts at reset: what it took to get here
    const bool only_boot = argc == 2 && strcmp(argv[1], "boot_to_main") == 0;
    if (only_boot) printf("boot_to_main %lu\n", (unsigned long)start);
    else fix_addresses(argv);
    utsname system;
    if (uname(&system) == 0) printf("# %s %s %s\n", system.sysname, system.release, system.version);
    fflush(stdout);
    if (only_boot) return 0;
    int failed = 0;
    for (Row* row = first_row; row; row = row->next) {
        if (!wanted(*row, argc, argv)) continue;
        pid_t pid = fork();
        if (pid == 0) {
            row->run(row->name);
            _exit(0);
        }
        int status = 0;
        if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
            printf("# %s failed (status 0x%x)\n", row->name, status);
            fflush(stdout);
            failed = 1;
        }
    }
    return failed;
}
