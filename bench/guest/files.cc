// Files in memory and devices.
#include <fcntl.h>
#include <sys/stat.h>

#include "bench.h"

static const char* const kFile = "/tmp/isobench.file";

static int make_file() {
    int fd = open(kFile, O_RDWR | O_CREAT | O_TRUNC, 0600);
    check(fd >= 0, "open");
    static char block[65536];
    check(write(fd, block, sizeof block) == sizeof block, "write");
    return fd;
}

ROW(read1_devzero) {
    int fd = open("/dev/zero", O_RDONLY);
    char byte;
    measure(name, 500, [&] { check(read(fd, &byte, 1) == 1, "read"); });
}

ROW(write1_devnull) {
    int fd = open("/dev/null", O_WRONLY);
    char byte = 0;
    measure(name, 500, [&] { check(write(fd, &byte, 1) == 1, "write"); });
}

ROW(open_close_tmpfs) {
    close(make_file());
    measure(name, 500, [] {
        int fd = open(kFile, O_RDONLY);
        check(fd >= 0, "open");
        close(fd);
    });
}

ROW(pread_4KiB_cached) {
    int fd = make_file();
    static char block[4096];
    measure(name, 500, [&] { check(pread(fd, block, 4096, 8192) == 4096, "pread"); });
}

ROW(pwrite_4KiB_cached) {
    int fd = make_file();
    static char block[4096];
    measure(name, 500, [&] { check(pwrite(fd, block, 4096, 8192) == 4096, "pwrite"); });
}

ROW(stat_tmpfs) {
    close(make_file());
    struct stat info;
    measure(name, 500, [&] { check(stat(kFile, &info) == 0, "stat"); });
}

ROW(fstat) {
    int fd = make_file();
    struct stat info;
    measure(name, 500, [&] { check(fstat(fd, &info) == 0, "fstat"); });
}

ROW(stat_enoent) {
    struct stat info;
    measure(name, 500, [&] { check(stat("/tmp/isobench.none", &info) < 0, "stat"); });
}

ROW(create_close_unlink) {
    measure(name, 300, [] {
        close(open("/tmp/isobench.new", O_WRONLY | O_CREAT | O_EXCL, 0600));
        check(unlink("/tmp/isobench.new") == 0, "unlink");
    });
}
