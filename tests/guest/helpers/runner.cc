// Runs several test programs in one boot and frames their output:
//
//   runner [--after CASE] PROGRAM...
//
// where @static stands for all programs of that kind, in the order of the file /tests/static.programs, and
// @static:PROGRAM for those from PROGRAM on. It
// prints "### PROGRAM", the program's output, "### end STATUS". --after skips the cases of the first program up
// to and with CASE: the driver goes on that way after a machine that died. Every program gets a session of its
// own, /dev/null as standard input and one pipe as standard output and error, whatever this program has.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void put(const char* data, size_t size) {
    while (size > 0) {
        ssize_t n = write(STDOUT_FILENO, data, size);
        if (n < 0 && errno != EINTR) _exit(1);
        if (n > 0) data += n, size -= n;
    }
}

static void say(const char* format, ...) {
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    put(line, length);
}

// Copies until end of file or the line "== end": a process that a test left behind may hold the pipe open.
static void copy_output(int fd) {
    char buffer[4096], tail[9] = "";
    ssize_t n;
    while ((n = read(fd, buffer, sizeof buffer)) != 0) {
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) break;
        put(buffer, n);
        for (ssize_t i = 0; i < n; i++) {
            memmove(tail, tail + 1, 7);
            tail[7] = buffer[i];
        }
        if (memcmp(tail, "\n== end\n", 8) == 0) break;
    }
}

static void run(const char* program, const char* after) {
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0) {
        say("runner: pipe2: %s\n", strerror(errno));
        return;
    }
    say("### %s\n", program);
    pid_t pid = fork();
    if (pid == 0) {
        setsid();
        int null = open("/dev/null", O_RDONLY);
        if (null > 0) dup2(null, STDIN_FILENO), close(null);
        dup2(fds[1], STDOUT_FILENO);
        dup2(fds[1], STDERR_FILENO);
        for (int fd = 3; fd < 256; fd++) close(fd);
        const char* arguments[] = {program, after ? "--after" : nullptr, after, nullptr};
        // The same everywhere, but for what sizes the stress tests.
        const char* environment[8] = {"PATH=/bin:/usr/bin", "HOME=/root"};
        for (int from = 0, to = 2; environ[from] && to < 7; from++)
            if (strncmp(environ[from], "STRESS_", 7) == 0) environment[to++] = environ[from];
        execve(program, const_cast<char**>(arguments), const_cast<char**>(environment));
        fprintf(stderr, "runner: cannot run %s: %s\n", program, strerror(errno));
        _exit(127);
    }
    close(fds[1]);
    if (pid < 0)
        say("runner: fork: %s\n", strerror(errno));
    else
        copy_output(fds[0]);
    close(fds[0]);
    int status = 0;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    say("### end 0x%x\n", status);
}

static void run_and_reap(const char* program, const char* after) {
    run(program, after);
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
}

// "@KIND" or "@KIND:FIRST"; the list stands beside this program.
static void run_list(char* what, const char* self, const char* after) {
    char* first = strchr(what, ':');
    if (first) *first++ = 0;
    int folder = (int)(strrchr(self, '/') - self);
    char path[256], name[128];
    snprintf(path, sizeof path, "%.*s/%s.programs", folder, self, what);
    FILE* list = fopen(path, "r");
    if (!list) {
        say("runner: cannot read %s: %s\n", path, strerror(errno));
        return;
    }
    while (fscanf(list, "%127s", name) == 1) {
        if (first && strcmp(first, name) != 0) continue;
        first = nullptr;
        snprintf(path, sizeof path, "%.*s/%s/%s", folder, self, what, name);
        run_and_reap(path, after);
        after = nullptr;
    }
    fclose(list);
}

int main(int argc, char** argv) {
    int first = 1;
    const char* after = nullptr;
    if (argc > 2 && strcmp(argv[1], "--after") == 0) after = argv[2], first = 3;
    for (int i = first; i < argc; i++) {
        if (argv[i][0] == '@')
            run_list(argv[i] + 1, argv[0], after);
        else
            run_and_reap(argv[i], after);
        after = nullptr;
    }
    say("### all done\n");
    return 0;
}
