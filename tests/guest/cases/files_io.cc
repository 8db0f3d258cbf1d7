// Reading and writing files: offsets, flags, vectors, sparse files, copies.
#include <limits.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#include "case.h"

static void show_content(const char* name) {
    char buffer[256] = "";
    int fd = open(name, O_RDONLY);
    ssize_t n = read(fd, buffer, sizeof buffer - 1);
    close(fd);
    print("%s: %zd \"", name, n);
    for (ssize_t i = 0; i < n; i++) print(buffer[i] ? "%c" : ".", buffer[i]);
    print("\"\n");
}

static int make_file(const char* name, const char* content) {
    int fd = MUST(open(name, O_RDWR | O_CREAT | O_TRUNC, 0644));
    MUST(write(fd, content, strlen(content)));
    MUST(lseek(fd, 0, SEEK_SET));
    return fd;
}

CASE(read_write_seek) {
    COVERS(open, openat, read, write, lseek, close);
    enter_scratch_directory();
    int fd = MUST(syscall(SYS_open, "file", O_RDWR | O_CREAT, 0600));
    SHOW(write(fd, "0123456789", 10));
    SHOW(lseek(fd, 2, SEEK_SET));
    char buffer[16] = "";
    SHOW(read(fd, buffer, 4));
    print("%s\n", buffer);
    SHOW(lseek(fd, 0, SEEK_CUR));
    SHOW(lseek(fd, -3, SEEK_END));
    SHOW(read(fd, buffer, 16));
    SHOW(read(fd, buffer, 16));
    SHOW(lseek(fd, 5, SEEK_END));
    SHOW(write(fd, "x", 1));
    show_content("file");
}

CASE(read_write_errors) {
    COVERS_ERROR(read, write, lseek, close, pread64, pwrite64);
    enter_scratch_directory();
    int fd = make_file("file", "content");
    char byte;
    SHOW(read(-1, &byte, 1));
    SHOW(write(-1, &byte, 1));
    SHOW(read(1000, &byte, 1));
    SHOW(read(fd, bad_address(), 1));
    SHOW(read(fd, (void*)0xffff888000000000, 1));
    SHOW(read(fd, read_only_page(), 1));
    SHOW(write(fd, bad_address(), 1));
    SHOW(write(fd, (void*)0xffffffff81000000, 1));
    SHOW(read(fd, (void*)0x7ffffffff000, 4096));
    SHOW(lseek(fd, -1, SEEK_SET));
    SHOW(lseek(fd, 0, 99));
    SHOW(lseek(-1, 0, SEEK_SET));
    SHOW(pread(fd, &byte, 1, -1));
    SHOW(pwrite(fd, &byte, 1, -1));
    SHOW(pread(-1, &byte, 1, 0));
    SHOW(pwrite(-1, &byte, 1, 0));
    int directory = MUST(open(".", O_RDONLY));
    SHOW(read(directory, &byte, 1));
    SHOW(write(directory, &byte, 1));
    int write_only = MUST(open("file", O_WRONLY)), read_only = MUST(open("file", O_RDONLY));
    SHOW(read(write_only, &byte, 1));
    SHOW(write(read_only, &byte, 1));
    SHOW(close(fd));
    SHOW(close(fd));
    SHOW(read(fd, &byte, 1));
}

CASE(read_across_bad_page) {
    // A partial copy counts; only a copy of nothing is EFAULT.
    enter_scratch_directory();
    char* pages = (char*)MUST(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    MUST(mprotect(pages + 4096, 4096, PROT_NONE));
    int fd = make_file("file", "0123456789");
    SHOW(write(fd, pages + 4090, 100));
    SHOW(lseek(fd, 0, SEEK_SET));
    SHOW(read(fd, pages + 4092, 10));
}

CASE(pread_pwrite_keep_offset) {
    COVERS(pread64, pwrite64);
    enter_scratch_directory();
    int fd = make_file("file", "abcdefgh");
    char buffer[4] = "";
    SHOW(pread(fd, buffer, 3, 5));
    print("%s\n", buffer);
    SHOW(pwrite(fd, "XY", 2, 1));
    SHOW(pread(fd, buffer, 3, 100));
    SHOW(lseek(fd, 0, SEEK_CUR));
    show_content("file");
}

CASE(vectors_on_files) {
    COVERS(readv, writev, preadv, pwritev, preadv2, pwritev2);
    COVERS_ERROR(preadv, pwritev, preadv2, pwritev2, readv);
    enter_scratch_directory();
    int fd = make_file("file", "");
    iovec out[] = {{(void*)"one ", 4}, {(void*)"", 0}, {(void*)"two ", 4}, {(void*)"three", 5}};
    SHOW(writev(fd, out, 4));
    char a[4] = "", b[20] = "";
    iovec in[] = {{a, 3}, {b, 19}};
    SHOW(preadv(fd, in, 2, 1));
    print("%s|%s\n", a, b);
    SHOW(pwritev(fd, out, 1, 8));
    show_content("file");
    SHOW(preadv2(fd, in, 2, 0, 0));
    SHOW(pwritev2(fd, out, 1, 0, 0));
    SHOW(preadv(fd, in, 2, -1));
    SHOW(pwritev(-1, out, 1, 0));
    SHOW(preadv2(fd, in, 2, 0, 0x1000));
    SHOW(pwritev2(fd, out, 1, 0, 0x1000));
    SHOW(readv(fd, in, IOV_MAX + 1));
    SHOW(preadv(fd, (iovec*)bad_address(), 1, 0));
}

CASE(append_mode) {
    enter_scratch_directory();
    close(make_file("file", "start "));
    int fd = MUST(open("file", O_WRONLY | O_APPEND));
    SHOW(lseek(fd, 0, SEEK_SET));
    SHOW(write(fd, "end", 3));
    SHOW(lseek(fd, 0, SEEK_CUR));
    show_content("file");
    pid_t pids[4];
    for (int child = 0; child < 4; child++)
        pids[child] = spawn([=] {
            int own = open("file", O_WRONLY | O_APPEND);
            for (int i = 0; i < 50; i++) write(own, "12345678", 8);
            return 0;
        });
    for (pid_t pid : pids) wait_for(pid);
    struct stat info;
    MUST(stat("file", &info));
    print("size %ld\n", (long)info.st_size);
}

CASE(sparse_files) {
    COVERS(lseek, fallocate);
    COVERS_ERROR(fallocate);
    enter_scratch_directory();
    int fd = make_file("file", "");
    SHOW(pwrite(fd, "end", 3, 1000000));
    struct stat info;
    MUST(fstat(fd, &info));
    print("size %ld, sparse %s\n", (long)info.st_size, info.st_blocks < 100 ? "yes" : "no");
    char byte = 1;
    SHOW(pread(fd, &byte, 1, 500000));
    print("hole %d\n", byte);
    SHOW(fallocate(fd, 0, 0, 2000000));
    SHOW(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 3000000));
    MUST(fstat(fd, &info));
    print("size %ld\n", (long)info.st_size);
    SHOW(fallocate(fd, 0, -1, 10));
    SHOW(fallocate(fd, 0, 0, 0));
    SHOW(fallocate(-1, 0, 0, 10));
    int pipes[2];
    MUST(pipe(pipes));
    SHOW(fallocate(pipes[1], 0, 0, 10));
    SHOW(fallocate(fd, 0x1000, 0, 10));
}

CASE(large_file_contents) {
    enter_scratch_directory();
    int fd = make_file("file", "");
    static unsigned char block[10007];
    unsigned long written = 0, checked = 0;
    for (int i = 0; i < 300; i++) {
        for (size_t k = 0; k < sizeof block; k++) block[k] = (unsigned char)(i * 31 + k);
        for (unsigned char c : block) written = written * 131 + c;
        if (write(fd, block, sizeof block) != sizeof block) print("short write\n");
    }
    lseek(fd, 0, SEEK_SET);
    ssize_t n;
    while ((n = read(fd, block, 4999)) > 0)
        for (ssize_t k = 0; k < n; k++) checked = checked * 131 + block[k];
    CHECK(written == checked);
    SHOW(lseek(fd, 0, SEEK_CUR));
}

CASE(sendfile_copies) {
    COVERS(sendfile, copy_file_range);
    COVERS_ERROR(sendfile, copy_file_range);
    enter_scratch_directory();
    int in = make_file("in", "sendfile content"), out = make_file("out", "");
    SHOW(sendfile(out, in, nullptr, 8));
    off_t offset = 9;
    SHOW(sendfile(out, in, &offset, 100));
    print("offset %ld\n", (long)offset);
    SHOW(lseek(in, 0, SEEK_CUR));
    show_content("out");
    int pipes[2];
    MUST(pipe(pipes));
    offset = 0;
    SHOW(sendfile(pipes[1], in, &offset, 16));
    SHOW(sendfile(-1, in, nullptr, 1));
    SHOW(sendfile(out, -1, nullptr, 1));
    SHOW(sendfile(out, pipes[0], nullptr, 1));
    SHOW(syscall(SYS_sendfile, out, in, bad_address(), 1));
    loff_t from = 0, to = 0;
    SHOW(copy_file_range(in, &from, out, &to, 4, 0));
    SHOW(copy_file_range(in, &from, out, &to, 4, 7));
    SHOW(copy_file_range(-1, &from, out, &to, 4, 0));
}

CASE(open_flags) {
    COVERS(openat, open, creat);
    enter_scratch_directory();
    close(make_file("file", "content"));
    SHOW_OK(open("file", O_RDWR | O_CREAT));
    SHOW_OK(open("file", O_RDWR | O_CREAT | O_EXCL, 0600));
    SHOW_OK(open("new", O_RDWR | O_CREAT | O_EXCL, 0600));
    SHOW_OK(open("file", O_RDONLY | O_DIRECTORY));
    SHOW_OK(open(".", O_RDONLY | O_DIRECTORY));
    SHOW_OK(open(".", O_RDWR));
    SHOW_OK(open(".", O_RDONLY | O_CREAT, 0600));
    SHOW_OK(open("nothing/", O_RDWR | O_CREAT, 0600));
    SHOW_OK(open("file/", O_RDONLY));
    MUST(symlink("file", "link"));
    SHOW_OK(open("link", O_RDONLY));
    SHOW_OK(open("link", O_RDONLY | O_NOFOLLOW));
    SHOW_OK(open("link", O_RDWR | O_CREAT | O_EXCL, 0600));
    MUST(symlink("target", "dangling"));
    SHOW_OK(open("dangling", O_RDONLY));
    SHOW_OK(open("dangling", O_RDWR | O_CREAT, 0600));
    SHOW(access("target", F_OK));
    int fd = MUST(open("file", O_RDWR | O_TRUNC));
    struct stat info;
    MUST(fstat(fd, &info));
    print("size %ld\n", (long)info.st_size);
    SHOW_OK(syscall(SYS_creat, "created", 0640));
    fd = MUST(open(".", O_RDWR | O_TMPFILE, 0600));
    SHOW(write(fd, "x", 1));
    SHOW_OK(open("file", O_PATH));
}

CASE(open_errors) {
    COVERS_ERROR(open, openat, creat);
    enter_scratch_directory();
    SHOW(open("nothing", O_RDONLY));
    SHOW(open("", O_RDONLY));
    SHOW(open("nothing/file", O_RDWR | O_CREAT, 0600));
    SHOW(syscall(SYS_open, bad_address(), O_RDONLY));
    SHOW(openat(-1, "file", O_RDONLY));
    SHOW(openat(0, "file", O_RDONLY));
    char name[300];
    memset(name, 'n', sizeof name);
    name[256] = 0;
    SHOW(open(name, O_RDONLY));
    SHOW(open(name, O_RDWR | O_CREAT, 0600));
    static char path[5000];
    for (size_t i = 0; i < sizeof path - 1; i++) path[i] = i % 2 ? '/' : '.';
    SHOW(open(path, O_RDONLY));
    close(make_file("file", ""));
    SHOW(open("file/below", O_RDONLY));
    MUST(symlink("loop2", "loop1"));
    MUST(symlink("loop1", "loop2"));
    SHOW(open("loop1", O_RDONLY));
    SHOW(syscall(SYS_creat, "nothing/file", 0600));
    SHOW(open("/dev/null/x", O_RDONLY));
}

CASE(sync_calls) {
    COVERS(fsync, fdatasync, sync, syncfs, sync_file_range, fadvise64, readahead);
    COVERS_ERROR(fsync, fdatasync, syncfs, fadvise64, sync_file_range, readahead);
    NO_ERROR_PATH(sync);
    enter_scratch_directory();
    int fd = make_file("file", "x");
    SHOW(fsync(fd));
    SHOW(fdatasync(fd));
    SHOW(syscall(SYS_sync));
    SHOW(syncfs(fd));
    SHOW(sync_file_range(fd, 0, 1, SYNC_FILE_RANGE_WRITE));
    SHOW(posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL));
    SHOW(readahead(fd, 0, 1));
    SHOW(fsync(-1));
    SHOW(fdatasync(-1));
    SHOW(syncfs(-1));
    SHOW(sync_file_range(-1, 0, 1, 0));
    SHOW(syscall(SYS_fadvise64, fd, 0, 0, 99));
    SHOW(syscall(SYS_fadvise64, -1, 0, 0, 0));
    SHOW(readahead(-1, 0, 1));
}

CASE(ioctl_on_files) {
    COVERS(ioctl);
    COVERS_ERROR(ioctl);
    enter_scratch_directory();
    int fd = make_file("file", "12345"), left = 0, on = 1;
    SHOW(ioctl(fd, FIONREAD, &left));
    print("left %d\n", left);
    SHOW(ioctl(fd, FIOCLEX));
    SHOW(fcntl(fd, F_GETFD));
    SHOW(ioctl(fd, FIONCLEX));
    SHOW(ioctl(fd, FIONBIO, &on));
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
    SHOW(ioctl(fd, TIOCGWINSZ, &left));
    SHOW(ioctl(fd, 0x12345678, &left));
    SHOW(ioctl(-1, FIONREAD, &left));
    SHOW(ioctl(fd, FIONBIO, bad_address()));
}
