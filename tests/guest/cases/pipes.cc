// pipe, pipe2, and what reading and writing them means.
#include <sys/ioctl.h>
#include <sys/uio.h>

#include "case.h"

CASE(pipe_carries_bytes) {
    COVERS(pipe, read, write, close);
    int fds[2];
    SHOW(pipe(fds));
    char buffer[16] = "";
    SHOW(write(fds[1], "hello", 5));
    SHOW(read(fds[0], buffer, 3));
    SHOW(read(fds[0], buffer + 3, 10));
    print("%s\n", buffer);
    SHOW(close(fds[1]));
    SHOW(read(fds[0], buffer, 10));
    SHOW(close(fds[0]));
    SHOW(close(-1));
}

CASE(pipe_errors) {
    COVERS_ERROR(pipe, pipe2, read, write);
    SHOW(syscall(SYS_pipe, bad_address()));
    SHOW(syscall(SYS_pipe2, bad_address(), 0));
    int fds[2];
    SHOW(pipe2(fds, 0x1));
    MUST(pipe(fds));
    char byte = 0;
    SHOW(read(fds[1], &byte, 1));
    SHOW(write(fds[0], &byte, 1));
    SHOW(lseek(fds[0], 0, SEEK_SET));
    SHOW(pread(fds[0], &byte, 1, 0));
    SHOW(pwrite(fds[1], &byte, 1, 0));
    SHOW(ftruncate(fds[1], 0));
    SHOW(fsync(fds[1]));
    SHOW(write(fds[1], bad_address(), 1));
    SHOW(write(fds[1], "x", 1));
    SHOW(read(fds[0], bad_address(), 1));
    SHOW(read(fds[0], &byte, 0));
}

CASE(pipe2_flags) {
    COVERS(pipe2, fcntl);
    int fds[2];
    SHOW(pipe2(fds, O_CLOEXEC | O_NONBLOCK));
    SHOW(fcntl(fds[0], F_GETFD));
    SHOW(fcntl(fds[0], F_GETFL));
    SHOW(fcntl(fds[1], F_GETFL));
    char byte;
    SHOW(read(fds[0], &byte, 1));
}

CASE(pipe_write_without_reader) {
    COVERS_ERROR(write);
    int fds[2];
    MUST(pipe(fds));
    close(fds[0]);
    show_child("default", [&] {
        SHOW(write(fds[1], "x", 1));
        return 0;
    });
    signal(SIGPIPE, SIG_IGN);
    SHOW(write(fds[1], "x", 1));
    SHOW(write(fds[1], "x", 0));
}

CASE(pipe_full_nonblocking) {
    COVERS_ERROR(write);
    int fds[2];
    MUST(pipe2(fds, O_NONBLOCK));
    static char block[4096];
    long total = 0;
    ssize_t n;
    while ((n = write(fds[1], block, sizeof block)) > 0) total += n;
    print("full after %ld: %s\n", total, errno_name(errno));
    int queued = 0;
    SHOW(ioctl(fds[0], FIONREAD, &queued));
    print("queued %d\n", queued);
    SHOW(read(fds[0], block, 4096));
    SHOW(write(fds[1], block, 4096));
    SHOW(write(fds[1], block, 1));
}

CASE(pipe_capacity) {
    COVERS(fcntl);
    COVERS_ERROR(fcntl);
    int fds[2];
    MUST(pipe2(fds, O_NONBLOCK));
    SHOW(fcntl(fds[0], F_GETPIPE_SZ));
    SHOW(fcntl(fds[0], F_SETPIPE_SZ, 4096));
    SHOW(fcntl(fds[0], F_GETPIPE_SZ));
    static char block[8192];
    SHOW(write(fds[1], block, 8192));
    SHOW(fcntl(fds[0], F_SETPIPE_SZ, -1));
}

CASE(pipe_blocks_writer_until_read) {
    int fds[2];
    MUST(pipe(fds));
    pid_t pid = spawn([&] {
        close(fds[0]);
        static char block[200000];
        memset(block, 'z', sizeof block);
        return write(fds[1], block, sizeof block) == sizeof block ? 0 : 1;
    });
    close(fds[1]);
    static char buffer[1000];
    long total = 0;
    bool all_z = true;
    ssize_t n;
    while ((n = read(fds[0], buffer, sizeof buffer)) > 0) {
        total += n;
        for (ssize_t i = 0; i < n; i++) all_z &= buffer[i] == 'z';
    }
    print("total %ld, content %s\n", total, all_z ? "right" : "wrong");
    print("%s\n", decode_status(wait_for(pid)));
}

CASE(pipe_small_writes_are_atomic) {
    int fds[2];
    MUST(pipe(fds));
    for (int writer = 0; writer < 4; writer++) {
        spawn([&] {
            char record[512];
            memset(record, 'a' + writer, sizeof record);
            for (int i = 0; i < 100; i++)
                if (write(fds[1], record, sizeof record) != sizeof record) return 1;
            return 0;
        });
    }
    close(fds[1]);
    char record[512];
    int whole = 0, mixed = 0;
    for (;;) {
        size_t have = 0;
        ssize_t n = 1;
        while (have < sizeof record && (n = read(fds[0], record + have, sizeof record - have)) > 0) have += n;
        if (n <= 0) break;
        bool same = true;
        for (char c : record) same &= c == record[0];
        (same ? whole : mixed)++;
    }
    print("whole %d, mixed %d\n", whole, mixed);
    int good = 0, status;
    while (wait(&status) > 0) good += status == 0;
    print("writers done %d\n", good);
}

CASE(pipe_read_interrupted) {
    COVERS_ERROR(read);
    int fds[2];
    MUST(pipe(fds));
    struct sigaction action = {};
    action.sa_handler = [](int) {};
    sigaction(SIGUSR1, &action, nullptr);
    pid_t parent = getpid();
    pid_t pid = spawn([=] {
        sleep_ms(50);
        kill(parent, SIGUSR1);
        return 0;
    });
    char byte;
    SHOW(read(fds[0], &byte, 1));
    wait_for(pid);

    action.sa_flags = SA_RESTART;
    sigaction(SIGUSR1, &action, nullptr);
    pid = spawn([=] {
        sleep_ms(50);
        kill(parent, SIGUSR1);
        sleep_ms(50);
        return write(fds[1], "r", 1) == 1 ? 0 : 1;
    });
    SHOW(read(fds[0], &byte, 1));
    print("%s\n", decode_status(wait_for(pid)));
}

CASE(pipe_partial_write_interrupted) {
    COVERS(write);
    int fds[2];
    MUST(pipe(fds));
    struct sigaction action = {};
    action.sa_handler = [](int) {};
    sigaction(SIGUSR1, &action, nullptr);
    pid_t parent = getpid();
    pid_t pid = spawn([=] {
        sleep_ms(80);
        kill(parent, SIGUSR1);
        return 0;
    });
    static char block[100000];
    SHOW(write(fds[1], block, sizeof block));
    wait_for(pid);
}

CASE(pipe_readv_writev) {
    COVERS(readv, writev);
    COVERS_ERROR(readv, writev);
    int fds[2];
    MUST(pipe(fds));
    char one[4] = "abc", two[4] = "def";
    iovec out[] = {{one, 3}, {nullptr, 0}, {two, 3}};
    SHOW(writev(fds[1], out, 3));
    char first[5] = "", second[5] = "";
    iovec in[] = {{first, 4}, {second, 4}};
    SHOW(readv(fds[0], in, 2));
    print("%s %s\n", first, second);
    SHOW(writev(fds[1], out, -1));
    SHOW(writev(fds[1], out, 2000));
    SHOW(writev(fds[1], (iovec*)bad_address(), 1));
    iovec negative[] = {{one, (size_t)-1}};
    SHOW(writev(fds[1], negative, 1));
    SHOW(readv(-1, in, 2));
    SHOW(writev(-1, out, 2));
    SHOW(writev(fds[1], out, 0));
}

CASE(pipeline_of_processes) {
    int first[2], second[2];
    MUST(pipe(first));
    MUST(pipe(second));
    spawn([&] {
        for (int i = 0; i < 1000; i++) {
            char line[8];
            int length = snprintf(line, sizeof line, "%d\n", i);
            if (write(first[1], line, length) != length) return 1;
        }
        return 0;
    });
    spawn([&] {
        close(first[1]);
        FILE* in = fdopen(first[0], "r");
        FILE* out = fdopen(second[1], "w");
        int value;
        while (fscanf(in, "%d", &value) == 1)
            if (value % 2) fprintf(out, "%d\n", value);
        return fclose(out);
    });
    close(first[0]), close(first[1]), close(second[1]);
    FILE* in = fdopen(second[0], "r");
    long sum = 0;
    int value;
    while (fscanf(in, "%d", &value) == 1) sum += value;
    print("sum %ld\n", sum);
    int status, good = 0;
    while (wait(&status) > 0) good += status == 0;
    print("good children %d\n", good);
}

CASE(pipe_fstat) {
    COVERS(fstat);
    int fds[2];
    MUST(pipe(fds));
    struct stat info;
    SHOW(fstat(fds[0], &info));
    CHECK(S_ISFIFO(info.st_mode));
    SHOW(isatty(fds[0]));
}

CASE(fifo_rendezvous) {
    COVERS(mknod, mknodat, openat, open);
    COVERS_ERROR(mknodat, mknod);
    enter_scratch_directory();
    SHOW(mkfifo("fifo", 0600));
    SHOW(mkfifo("fifo", 0600));
    SHOW(syscall(SYS_mknod, "fifo2", S_IFIFO | 0600, 0));
    SHOW(syscall(SYS_mknod, "fifo2", S_IFIFO | 0600, 0));
    SHOW(open("fifo", O_WRONLY | O_NONBLOCK));
    pid_t pid = spawn([] {
        int fd = open("fifo", O_WRONLY);
        return write(fd, "through", 7) == 7 ? 0 : 1;
    });
    int fd = MUST(open("fifo", O_RDONLY));
    char buffer[16] = "";
    SHOW(read(fd, buffer, 15));
    print("%s\n", buffer);
    SHOW(read(fd, buffer, 15));
    print("%s\n", decode_status(wait_for(pid)));
}

CASE(vmsplice_copies_memory) {
    COVERS(vmsplice);
    COVERS_ERROR(vmsplice);
    int fds[2];
    MUST(pipe(fds));
    char text[] = "from memory", buffer[16] = "";
    iovec part = {text, 11};
    SHOW(vmsplice(fds[1], &part, 1, 0));
    SHOW(read(fds[0], buffer, 15));
    print("%s\n", buffer);
    SHOW(vmsplice(-1, &part, 1, 0));
    SHOW(vmsplice(0, &part, 1, 0));
    SHOW(vmsplice(fds[1], (iovec*)bad_address(), 1, 0));
    SHOW(vmsplice(fds[1], &part, 1, 0x100));
}

CASE(ended_pipe_is_reopened) {
    // /proc/self/fd/N of a pipe whose other end is closed opens at once (seq 3 | cat /dev/stdin).
    int fds[2];
    MUST(pipe(fds));
    MUST(write(fds[1], "rest", 4));
    close(fds[1]);
    char path[32], buffer[8] = "";
    snprintf(path, sizeof path, "/proc/self/fd/%d", fds[0]);
    int again = MUST(open(path, O_RDONLY));
    SHOW(read(again, buffer, 7));
    print("%s\n", buffer);
    SHOW(read(again, buffer, 7));
}

CASE(splice_and_tee) {
    COVERS(splice, tee);
    COVERS_ERROR(splice, tee);
    int a[2], b[2];
    MUST(pipe(a));
    MUST(pipe(b));
    MUST(write(a[1], "splice", 6));
    SHOW(tee(a[0], b[1], 6, 0));
    SHOW(splice(a[0], nullptr, b[1], nullptr, 6, 0));
    char buffer[16] = "";
    SHOW(read(b[0], buffer, 15));
    print("%s\n", buffer);
    SHOW(splice(a[0], nullptr, b[1], nullptr, 6, SPLICE_F_NONBLOCK));
    SHOW(splice(-1, nullptr, b[1], nullptr, 6, 0));
    SHOW(tee(a[0], a[1], 1, 0));
    SHOW(tee(-1, b[1], 1, 0));
}
