// Descriptors: dup, fcntl, close-on-exec, limits, locks.
#include <sys/file.h>
#include <sys/resource.h>

#include "case.h"

CASE(dup_family) {
    COVERS(dup, dup2, dup3, fcntl);
    COVERS_ERROR(dup, dup2, dup3);
    int fd = MUST(open("/dev/null", O_RDWR));
    CHECK(dup(fd) == fd + 1);
    SHOW(dup2(fd, 20));
    SHOW(dup2(fd, fd) == fd);
    SHOW(dup3(fd, 21, O_CLOEXEC));
    SHOW(fcntl(20, F_GETFD));
    SHOW(fcntl(21, F_GETFD));
    SHOW(fcntl(fd, F_DUPFD, 30));
    SHOW(fcntl(fd, F_DUPFD, 30));
    SHOW(fcntl(fd, F_DUPFD_CLOEXEC, 40));
    SHOW(fcntl(40, F_GETFD));
    SHOW(dup(-1));
    SHOW(dup2(-1, 5));
    SHOW(dup2(fd, -1));
    SHOW(dup2(fd, 100000000));
    SHOW(dup2(999, 999));
    SHOW(dup3(fd, fd, 0));
    SHOW(dup3(fd, 50, 0x1));
    SHOW(dup3(-1, 50, 0));
}

CASE(lowest_descriptor_is_used) {
    int a = MUST(open("/dev/null", O_RDONLY)), b = MUST(open("/dev/null", O_RDONLY));
    int c = MUST(open("/dev/null", O_RDONLY));
    CHECK(b == a + 1 && c == a + 2);
    close(a);
    close(b);
    CHECK(dup(c) == a);
    CHECK(open("/dev/null", O_RDONLY) == b);
}

CASE(fcntl_flags) {
    COVERS(fcntl);
    COVERS_ERROR(fcntl);
    int fd = MUST(open("/dev/null", O_RDWR | O_APPEND));
    CHECK((fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK)) == (O_RDWR | O_APPEND));
    SHOW(fcntl(fd, F_SETFL, O_NONBLOCK));
    CHECK((fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK)) == (O_RDWR | O_NONBLOCK));
    int copy = dup(fd);
    fcntl(copy, F_SETFL, 0);
    CHECK((fcntl(fd, F_GETFL) & O_NONBLOCK) == 0);
    SHOW(fcntl(fd, F_SETFD, FD_CLOEXEC));
    SHOW(fcntl(fd, F_GETFD));
    SHOW(fcntl(copy, F_GETFD));
    SHOW(fcntl(-1, F_GETFD));
    SHOW(fcntl(fd, 12345));
    SHOW(fcntl(fd, F_DUPFD, -1));
}

HELPER(report_descriptors) {
    for (int fd = 50; fd < 54; fd++) print("%d %s\n", fd, fcntl(fd, F_GETFD) >= 0 ? "open" : errno_name(errno));
    return 0;
}

CASE(close_on_exec) {
    COVERS(execve);
    show_child("exec", [] {
        int fd = open("/dev/null", O_RDWR);
        dup2(fd, 50);
        dup3(fd, 51, O_CLOEXEC);
        dup2(fd, 52);
        fcntl(52, F_SETFD, FD_CLOEXEC);
        dup2(fd, 53);
        execl(self_path(), self_path(), "--helper", "report_descriptors", nullptr);
        return 1;
    });
}

CASE(descriptor_limit) {
    COVERS(prlimit64);
    rlimit limit = {20, 20};
    MUST(setrlimit(RLIMIT_NOFILE, &limit));
    int last = -1, fd;
    while ((fd = open("/dev/null", O_RDONLY)) >= 0) last = fd;
    print("last %d: %s\n", last, errno_name(errno));
    int pipes[2];
    SHOW(pipe(pipes));
    SHOW(dup(0));
    SHOW(fcntl(0, F_DUPFD, 20));
    SHOW(dup2(0, 20));
    SHOW(close(last));
    SHOW(dup(0));
}

CASE(many_descriptors) {
    rlimit limit = {4096, 4096};
    MUST(setrlimit(RLIMIT_NOFILE, &limit));
    int count = 0;
    while (open("/dev/null", O_RDONLY) >= 0) count++;
    CHECK(count > 4080);
    show_child("child", [] { return fcntl(4000, F_GETFD) == 0 ? 0 : 1; });
}

CASE(close_range_call) {
    COVERS(close_range);
    COVERS_ERROR(close_range);
    int fd = MUST(open("/dev/null", O_RDONLY));
    for (int i = 30; i < 40; i++) dup2(fd, i);
    SHOW(syscall(SYS_close_range, 32, 34, 0));
    SHOW(fcntl(31, F_GETFD));
    SHOW(fcntl(33, F_GETFD));
    SHOW(syscall(SYS_close_range, 36, ~0u, 4));
    SHOW(fcntl(37, F_GETFD));
    SHOW(syscall(SYS_close_range, 10, 5, 0));
    SHOW(syscall(SYS_close_range, 10, 50, 0x80));
}

CASE(flock_between_processes) {
    COVERS(flock);
    COVERS_ERROR(flock);
    enter_scratch_directory();
    int fd = MUST(open("lock", O_RDWR | O_CREAT, 0600));
    SHOW(flock(fd, LOCK_EX));
    show_child("other open file", [] {
        int other = MUST(open("lock", O_RDWR));
        SHOW(flock(other, LOCK_EX | LOCK_NB));
        SHOW(flock(other, LOCK_SH | LOCK_NB));
        return 0;
    });
    show_child("same open file", [&] {
        SHOW(flock(fd, LOCK_EX | LOCK_NB));
        return 0;
    });
    SHOW(flock(fd, LOCK_SH));
    show_child("shared", [] {
        int other = MUST(open("lock", O_RDWR));
        SHOW(flock(other, LOCK_SH | LOCK_NB));
        return 0;
    });
    SHOW(flock(fd, LOCK_UN));
    SHOW(flock(fd, 77));
    SHOW(flock(-1, LOCK_EX));
}

CASE(flock_waits) {
    COVERS(flock);
    enter_scratch_directory();
    int fd = MUST(open("lock", O_RDWR | O_CREAT, 0600));
    MUST(flock(fd, LOCK_EX));
    Turn waiting;
    pid_t pid = spawn([&] {
        int other = MUST(open("lock", O_RDWR));
        waiting.signal();
        int result = flock(other, LOCK_EX);
        print("child has it: %d\n", result);
        return 0;
    });
    waiting.wait();
    sleep_ms(30);
    print("parent lets go\n");
    flock(fd, LOCK_UN);
    wait_for(pid);
}

static struct flock lock_of(short type, off_t start, off_t length) {
    struct flock lock = {};
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_start = start;
    lock.l_len = length;
    return lock;
}

CASE(record_locks) {
    COVERS(fcntl);
    COVERS_ERROR(fcntl);
    enter_scratch_directory();
    int fd = MUST(open("lock", O_RDWR | O_CREAT, 0600));
    auto lock = lock_of(F_WRLCK, 10, 10);
    SHOW(fcntl(fd, F_SETLK, &lock));
    show_child("child", [&] {
        auto mine = lock_of(F_WRLCK, 15, 10);
        SHOW(fcntl(fd, F_SETLK, &mine));
        SHOW(fcntl(fd, F_GETLK, &mine));
        CHECK(mine.l_pid == getppid());
        print("type %d start %ld length %ld\n", mine.l_type, (long)mine.l_start, (long)mine.l_len);
        mine = lock_of(F_WRLCK, 20, 10);
        SHOW(fcntl(fd, F_SETLK, &mine));
        SHOW(fcntl(fd, F_GETLK, &mine));
        CHECK(mine.l_type == F_UNLCK);
        return 0;
    });
    lock = lock_of(F_UNLCK, 12, 4);  // splits
    SHOW(fcntl(fd, F_SETLK, &lock));
    show_child("child", [&] {
        auto mine = lock_of(F_RDLCK, 12, 4);
        SHOW(fcntl(fd, F_SETLK, &mine));
        mine = lock_of(F_RDLCK, 12, 5);
        SHOW(fcntl(fd, F_SETLK, &mine));
        return 0;
    });
    int read_only = MUST(open("lock", O_RDONLY));
    SHOW(fcntl(read_only, F_SETLK, &lock));
    lock = lock_of(F_WRLCK, 0, 1);
    SHOW(fcntl(read_only, F_SETLK, &lock));
    lock = lock_of(77, 0, 1);
    SHOW(fcntl(fd, F_SETLK, &lock));
    SHOW(fcntl(fd, F_SETLK, bad_address()));
}

CASE(record_lock_waits_and_close_releases) {
    enter_scratch_directory();
    int fd = MUST(open("lock", O_RDWR | O_CREAT, 0600));
    auto lock = lock_of(F_WRLCK, 0, 0);
    MUST(fcntl(fd, F_SETLK, &lock));
    Turn waiting;
    pid_t pid = spawn([&] {
        auto mine = lock_of(F_WRLCK, 0, 0);
        waiting.signal();
        int result = fcntl(fd, F_SETLKW, &mine);
        print("child has it: %d\n", result);
        return 0;
    });
    waiting.wait();
    sleep_ms(30);
    print("parent closes a descriptor of the file\n");
    close(dup(fd));
    wait_for(pid);
}

CASE(record_lock_deadlock) {
    enter_scratch_directory();
    int fd = MUST(open("lock", O_RDWR | O_CREAT, 0600));
    auto first = lock_of(F_WRLCK, 0, 1), second = lock_of(F_WRLCK, 1, 1);
    MUST(fcntl(fd, F_SETLK, &first));
    Turn locked;
    pid_t pid = spawn([&] {
        MUST(fcntl(fd, F_SETLK, &second));
        locked.signal();
        int result = fcntl(fd, F_SETLKW, &first);
        return result < 0 ? 1 : 0;
    });
    locked.wait();
    sleep_ms(50);
    SHOW(fcntl(fd, F_SETLKW, &second));
    auto unlock = lock_of(F_UNLCK, 0, 1);
    SHOW(fcntl(fd, F_SETLK, &unlock));
    print("child %s\n", decode_status(wait_for(pid)));
}

CASE(open_file_description_locks) {
    COVERS(fcntl);
    enter_scratch_directory();
    int fd = MUST(open("lock", O_RDWR | O_CREAT, 0600)), other = MUST(open("lock", O_RDWR));
    auto lock = lock_of(F_WRLCK, 0, 10);
    SHOW(fcntl(fd, F_OFD_SETLK, &lock));
    SHOW(fcntl(other, F_OFD_SETLK, &lock));
    SHOW(fcntl(other, F_OFD_GETLK, &lock));
    print("pid %d\n", lock.l_pid);
    close(fd);
    lock = lock_of(F_WRLCK, 0, 10);
    SHOW(fcntl(other, F_OFD_SETLK, &lock));
}
