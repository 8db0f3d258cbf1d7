// What cases print with and lean on. See case.h.
#include <stdarg.h>

#include "forks.h"

namespace guest_test {

void print(const char* format, ...) {
    char line[4096];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length > (int)sizeof line - 1) length = sizeof line - 1;
    int saved = errno;
    for (int done = 0; done < length;) {
        ssize_t n = write(STDOUT_FILENO, line + done, length - done);
        if (n > 0) done += n;
        if (n < 0 && errno != EINTR) break;
    }
    errno = saved;
}

const char* errno_name(int error) {
    const char* name = strerrorname_np(error);
    return name ? name : "(not an errno)";
}

const char* signal_name(int signal) {
    if (signal >= SIGRTMIN && signal <= SIGRTMAX) {
        static char buffer[16];
        snprintf(buffer, sizeof buffer, "RTMIN+%d", signal - SIGRTMIN);
        return buffer;
    }
    const char* name = sigabbrev_np(signal);
    return name ? name : "(not a signal)";
}

void show_result(const char* what, long result) {
    if (result == -1)
        print("%s = -1 %s\n", what, errno_name(errno));
    else
        print("%s = %ld\n", what, result);
}

void show_success(const char* what, bool success) {
    if (success)
        print("%s = ok\n", what);
    else
        print("%s = -1 %s\n", what, errno_name(errno));
}

const char* decode_status(int status) {
    static char buffer[64];
    if (WIFEXITED(status))
        snprintf(buffer, sizeof buffer, "exit %d", WEXITSTATUS(status));
    else if (WIFSIGNALED(status))
        snprintf(buffer, sizeof buffer, "killed by %s", signal_name(WTERMSIG(status)));
    else if (WIFSTOPPED(status))
        snprintf(buffer, sizeof buffer, "stopped by %s", signal_name(WSTOPSIG(status)));
    else if (WIFCONTINUED(status))
        snprintf(buffer, sizeof buffer, "continued");
    else
        snprintf(buffer, sizeof buffer, "status 0x%x", status);
    return buffer;
}

static void* page_with(int protection) {
    void* page = mmap(nullptr, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        print("setup failed: mmap: %s\n", errno_name(errno));
        _exit(98);
    }
    return page;
}

void* bad_address() {
    static void* page = page_with(PROT_NONE);
    return page;
}

void* read_only_page() {
    static void* page = page_with(PROT_READ);
    return page;
}

void enter_scratch_directory() {
    char path[] = "/tmp/caseXXXXXX";
    if (!mkdtemp(path) || chdir(path) < 0) {
        print("setup failed: scratch directory: %s\n", errno_name(errno));
        _exit(98);
    }
    umask(022);
}

int64_t monotonic_ms() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void sleep_ms(int64_t ms) {
    timespec rest = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&rest, &rest) < 0 && errno == EINTR) {
    }
}

int wait_for(pid_t pid) {
    int status;
    pid_t waited;
    while ((waited = waitpid(pid, &status, 0)) < 0 && errno == EINTR) {
    }
    if (waited != pid) {
        print("waitpid failed: %s\n", errno_name(errno));
        _exit(99);
    }
    return status;
}

long free_kib() {
    char text[4096] = "";
    int fd = MUST(open("/proc/meminfo", O_RDONLY));
    MUST(read(fd, text, sizeof text - 1));
    close(fd);
    const char* line = strstr(text, "MemFree:");
    return line ? atol(line + 8) : -1;
}

void show_memory_is_back(long before) {
    const long kAllowed = 1024;
    long after = free_kib();
    for (int i = 0; i < 20 && before - after >= kAllowed; i++) {
        sleep_ms(100);
        after = free_kib();
    }
    if (before - after < kAllowed)
        print("memory is back\n");
    else
        print("lost %ld KiB of %ld\n", before - after, before);
}

Turn::Turn() { MUST(pipe2(fds_, O_CLOEXEC)); }
void Turn::signal() { MUST(write(fds_[1], "", 1)); }
void Turn::wait() {
    char byte;
    ssize_t n;
    while ((n = read(fds_[0], &byte, 1)) < 0 && errno == EINTR) {
    }
    if (n != 1) {
        print("turn lost: %s\n", n < 0 ? errno_name(errno) : "end of file");
        _exit(98);
    }
}

}  // namespace guest_test
