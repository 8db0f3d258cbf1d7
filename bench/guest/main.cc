// isobench [ROW...]: runs all rows, or those whose names begin with one of the arguments.
#include <errno.h>
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
    printf("%s %.3f\n", name, value);
    fflush(stdout);
}

void fail(const char* what) {
    fprintf(stderr, "isobench: %s: %s\n", what, strerror(errno));
    _exit(1);
}

}  // namespace isobench

static bool wanted(const Row& row, int argc, char** argv) {
    if (argc == 1) return true;
    for (int i = 1; i < argc; i++)
        if (strncmp(row.name, argv[i], strlen(argv[i])) == 0) return true;
    return false;
}

int main(int argc, char** argv) {
    uint64_t start = ticks();  // with a counter that starts at reset: what it took to get here
    printf("boot_to_main %lu\n", (unsigned long)start);
    utsname system;
    if (uname(&system) == 0) printf("# %s %s %s\n", system.sysname, system.release, system.version);
    fflush(stdout);
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
