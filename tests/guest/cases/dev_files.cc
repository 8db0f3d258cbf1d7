// Device files: null, zero, full, random, urandom, shm, standard streams.
#include <sys/sysmacros.h>
#include <sys/uio.h>

#include "case.h"

CASE(null_device) {
    COVERS(read, write, lseek);
    int fd = MUST(open("/dev/null", O_RDWR));
    char buffer[8] = "keep";
    SHOW(read(fd, buffer, 8));
    SHOW(write(fd, buffer, 8));
    SHOW(write(fd, bad_address(), 8));
    SHOW(lseek(fd, 100, SEEK_SET));
    print("%s\n", buffer);
    SHOW(ftruncate(fd, 0));
    SHOW_OK(open("/dev/null", O_WRONLY | O_CREAT | O_TRUNC, 0644));
}

CASE(zero_device) {
    int fd = MUST(open("/dev/zero", O_RDWR));
    static char buffer[10000];
    memset(buffer, 1, sizeof buffer);
    SHOW(read(fd, buffer, sizeof buffer));
    long sum = 0;
    for (char c : buffer) sum += c;
    print("sum %ld\n", sum);
    SHOW(write(fd, buffer, 100));
    SHOW(read(fd, bad_address(), 10));
    char* memory = (char*)MUST(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    print("%d\n", memory[4096]);
    memory[4096] = 3;
    char* shared = (char*)MUST(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    show_child("child", [&] {
        shared[0] = 5;
        return 0;
    });
    print("%d %d\n", memory[4096], shared[0]);
}

CASE(full_device) {
    COVERS_ERROR(write);
    int fd = MUST(open("/dev/full", O_RDWR));
    char byte = 1;
    SHOW(write(fd, &byte, 1));
    SHOW(read(fd, &byte, 1));
    print("%d\n", byte);
}

CASE(random_devices) {
    const char* names[] = {"/dev/random", "/dev/urandom"};
    for (const char* name : names) {
        int fd = MUST(open(name, O_RDONLY));
        unsigned char first[32] = {}, second[32] = {};
        SHOW(read(fd, first, 32));
        SHOW(read(fd, second, 32));
        CHECK(memcmp(first, second, 32) != 0);
        SHOW(read(fd, bad_address(), 32));
    }
}

CASE(random_differs_after_fork) {
    unsigned char* values = (unsigned char*)MUST(
        mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    for (int i = 0; i < 2; i++)
        wait_for(spawn([&] {
            return syscall(SYS_getrandom, values + 32 * i, 32, 0) == 32 ? 0 : 1;
        }));
    CHECK(memcmp(values, values + 32, 32) != 0);
}

CASE(device_numbers) {
    const char* names[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"};
    for (const char* name : names) {
        struct stat info;
        if (stat(name, &info) < 0) {
            print("%s: %s\n", name, errno_name(errno));
            continue;
        }
        print("%s: %s %u:%u\n", name, S_ISCHR(info.st_mode) ? "character" : "other", major(info.st_rdev),
              minor(info.st_rdev));
    }
}

CASE(standard_stream_links) {
    COVERS(openat);
    int fd = MUST(open("/dev/stdout", O_WRONLY));
    SHOW(write(fd, "through /dev/stdout\n", 20));
    SHOW_OK(open("/dev/stdin", O_RDONLY));
    SHOW_OK(open("/dev/fd/1", O_WRONLY));
    SHOW(open("/dev/fd/99", O_WRONLY));
}

CASE(own_device_node) {
    COVERS(mknod);
    enter_scratch_directory();
    SHOW(mknod("null", S_IFCHR | 0666, makedev(1, 3)));
    int fd = open("null", O_RDWR);
    CHECK(fd >= 0);
    char byte;
    SHOW(read(fd, &byte, 1));
    SHOW(mknod("none", S_IFCHR | 0666, makedev(200, 200)));
    SHOW(open("none", O_RDWR));
}

CASE(devices_poll_ready) {
    pollfd set[3] = {{MUST(open("/dev/zero", O_RDWR)), POLLIN | POLLOUT, 0},
                     {MUST(open("/dev/null", O_RDWR)), POLLIN | POLLOUT, 0},
                     {MUST(open("/dev/urandom", O_RDONLY)), POLLIN, 0}};
    SHOW(poll(set, 3, 0));
    for (auto& entry : set) print("%d\n", entry.revents);
}

// These devices take any offset and ignore it; they once refused all with ESPIPE.
CASE(positioned_transfers_of_devices) {
    COVERS(pread64, pwrite64, preadv, pwritev, lseek);
    COVERS_ERROR(pread64, pwrite64);
    const char* names[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"};
    for (const char* name : names) {
        print("%s\n", name);
        int fd = MUST(open(name, O_RDWR));
        unsigned char bytes[16];
        memset(bytes, 1, sizeof bytes);
        SHOW(pread(fd, bytes, sizeof bytes, 1l << 40));
        bool random = strstr(name, "random") != nullptr;
        if (!random) print("%d %d\n", bytes[0], bytes[15]);
        SHOW(pwrite(fd, bytes, sizeof bytes, 7));
        iovec parts[2] = {{bytes, 4}, {bytes + 8, 8}};
        SHOW(preadv(fd, parts, 2, 3));
        SHOW(pwritev(fd, parts, 2, 3));
        SHOW(pread(fd, bytes, 1, -1));
        SHOW(pread(fd, bad_address(), 0, 5));
        SHOW(lseek(fd, 100, SEEK_SET));
        SHOW(lseek(fd, 100, SEEK_CUR));
        SHOW(lseek(fd, -100, SEEK_END));
        SHOW(lseek(fd, 0, 3));
        SHOW(lseek(fd, 0, 5));
        SHOW(read(fd, bytes, 8));
        SHOW(lseek(fd, 0, SEEK_CUR));
        close(fd);
    }
    int write_only = MUST(open("/dev/null", O_WRONLY)), pipes[2];
    char byte;
    SHOW(pread(write_only, &byte, 1, 0));
    MUST(pipe(pipes));
    MUST(write(pipes[1], "some", 4));
    loff_t offset = 50;
    int null = MUST(open("/dev/null", O_WRONLY));
    SHOW(splice(pipes[0], nullptr, null, &offset, 100, 0));
    print("offset %ld\n", (long)offset);
    SHOW(pread(pipes[0], &byte, 1, 0));
}
