// Mapped files and shared memory.
#include <setjmp.h>
#include <sys/ipc.h>
#include <sys/shm.h>

#include "case.h"

static const size_t kPage = 4096;

static sigjmp_buf escape;
static const char* probe(volatile char* address) {
    struct sigaction action = {};
    action.sa_handler = [](int signal) { siglongjmp(escape, signal); };
    sigaction(SIGSEGV, &action, nullptr);
    sigaction(SIGBUS, &action, nullptr);
    int signal = sigsetjmp(escape, 1);
    if (signal) return signal_name(signal);
    (void)*address;
    return "ok";
}

static int make_file(const char* name, size_t size, char fill) {
    int fd = MUST(open(name, O_RDWR | O_CREAT | O_TRUNC, 0600));
    char block[kPage];
    memset(block, fill, kPage);
    for (size_t done = 0; done < size; done += kPage)
        MUST(write(fd, block, size - done < kPage ? size - done : kPage));
    return fd;
}

CASE(shared_anonymous_crosses_fork) {
    COVERS(mmap);
    int* shared = (int*)MUST(mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    show_child("child", [&] {
        *shared = 99;
        return 0;
    });
    print("parent sees %d\n", *shared);
}

CASE(shared_anonymous_untouched_before_fork) {
    // The page is first touched after the fork, by both.
    auto* shared =
        (volatile int*)MUST(mmap(nullptr, 64 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    pid_t pid = spawn([&] {
        for (int page = 0; page < 64; page++) shared[page * 1024] = page + 1;
        return 0;
    });
    wait_for(pid);
    int right = 0;
    for (int page = 0; page < 64; page++) right += shared[page * 1024] == page + 1;
    print("right %d\n", right);
}

CASE(file_mapping_and_read_see_the_same) {
    COVERS(mmap, pwrite64, pread64, msync);
    enter_scratch_directory();
    int fd = make_file("file", 2 * kPage, 'a');
    char* shared = (char*)MUST(mmap(nullptr, 2 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    MUST(pwrite(fd, "written", 7, kPage));
    print("%.7s\n", shared + kPage);
    memcpy(shared, "mapped", 6);
    char buffer[7] = "";
    MUST(pread(fd, buffer, 6, 0));
    print("%s\n", buffer);
    SHOW(msync(shared, 2 * kPage, MS_SYNC));
    SHOW(munmap(shared, 2 * kPage));
    MUST(pread(fd, buffer, 6, 0));
    print("%s\n", buffer);
}

CASE(private_file_mapping_keeps_file) {
    COVERS(mmap);
    enter_scratch_directory();
    int fd = make_file("file", kPage, 'a');
    char* memory = (char*)MUST(mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    memory[0] = 'z';
    char byte;
    MUST(pread(fd, &byte, 1, 0));
    print("file %c, memory %c\n", byte, memory[0]);
}

CASE(mapping_beyond_end_of_file) {
    enter_scratch_directory();
    int fd = make_file("file", kPage + 10, 'b');
    char* memory = (char*)MUST(mmap(nullptr, 4 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    print("last byte %c, then %d\n", memory[kPage + 9], memory[kPage + 10]);
    print("page behind the end: %s\n", probe(memory + 2 * kPage));
    MUST(ftruncate(fd, 4 * kPage));
    print("after growing: %s\n", probe(memory + 2 * kPage));
    MUST(ftruncate(fd, kPage));
    print("after cutting: %s %s\n", probe(memory), probe(memory + kPage));
}

CASE(truncate_zeroes_rest_of_page) {
    COVERS(ftruncate, truncate);
    COVERS_ERROR(ftruncate, truncate);
    enter_scratch_directory();
    int fd = make_file("file", kPage, 'c');
    SHOW(ftruncate(fd, 10));
    SHOW(ftruncate(fd, kPage));
    char bytes[2];
    MUST(pread(fd, bytes, 2, 9));
    print("%c %d\n", bytes[0], bytes[1]);
    SHOW(truncate("file", 3));
    struct stat info;
    MUST(stat("file", &info));
    print("size %ld\n", (long)info.st_size);
    SHOW(truncate("file", -1));
    SHOW(truncate("nothing", 0));
    SHOW(truncate("/tmp", 0));
    SHOW(ftruncate(fd, -1));
    SHOW(ftruncate(-1, 0));
    int read_only = MUST(open("file", O_RDONLY));
    SHOW(ftruncate(read_only, 0));
}

CASE(mapping_needs_open_mode) {
    COVERS_ERROR(mmap);
    enter_scratch_directory();
    close(make_file("file", kPage, 'd'));
    int read_only = MUST(open("file", O_RDONLY)), write_only = MUST(open("file", O_WRONLY));
    auto failed = [](void* result) { return result == MAP_FAILED ? errno_name(errno) : "mapped"; };
    print("%s\n", failed(mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, read_only, 0)));
    print("%s\n", failed(mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE, read_only, 0)));
    print("%s\n", failed(mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE, write_only, 0)));
    int directory = MUST(open(".", O_RDONLY));
    print("%s\n", failed(mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE, directory, 0)));
}

CASE(mapping_survives_close_and_unlink) {
    enter_scratch_directory();
    int fd = make_file("file", kPage, 'e');
    char* memory = (char*)MUST(mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    close(fd);
    MUST(unlink("file"));
    memory[1] = 'x';
    print("%c%c%c\n", memory[0], memory[1], memory[2]);
}

CASE(shared_file_between_processes) {
    enter_scratch_directory();
    int fd = make_file("file", 16 * kPage, 0);
    pid_t pids[4];
    for (int child = 0; child < 4; child++)
        pids[child] = spawn([&] {
            char* memory = (char*)MUST(mmap(nullptr, 16 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
            for (int page = 0; page < 16; page++) memory[page * kPage + child] = 'A' + child;
            return 0;
        });
    for (pid_t pid : pids) wait_for(pid);
    char* memory = (char*)MUST(mmap(nullptr, 16 * kPage, PROT_READ, MAP_SHARED, fd, 0));
    int right = 0;
    for (int page = 0; page < 16; page++) right += memcmp(memory + page * kPage, "ABCD", 4) == 0;
    print("right %d\n", right);
}

CASE(program_text_is_mapped) {
    FILE* maps = fopen("/proc/self/maps", "r");
    CHECK(maps != nullptr);
    char line[512];
    bool text = false, stack = false, writable_text = false;
    while (maps && fgets(line, sizeof line, maps)) {
        unsigned long start, end;
        char mode[5];
        if (sscanf(line, "%lx-%lx %4s", &start, &end, mode) != 3) continue;
        unsigned long code = (unsigned long)probe;
        if (code >= start && code < end) text = mode[2] == 'x', writable_text |= mode[1] == 'w';
        if ((unsigned long)&line >= start && (unsigned long)&line < end) stack = mode[1] == 'w' && mode[2] == '-';
    }
    CHECK(text);
    CHECK(!writable_text);
    CHECK(stack);
}

CASE(memfd_sealing) {
    COVERS(memfd_create, fcntl);
    COVERS_ERROR(memfd_create);
    int fd = MUST(memfd_create("name", MFD_ALLOW_SEALING | MFD_CLOEXEC));
    MUST(ftruncate(fd, kPage));
    SHOW(fcntl(fd, F_GET_SEALS));
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW));
    SHOW(ftruncate(fd, 10));
    SHOW(ftruncate(fd, 2 * kPage));
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    SHOW(write(fd, "x", 1));
    SHOW(memfd_create("name", 0x8000));
    SHOW(syscall(SYS_memfd_create, bad_address(), 0));
}

CASE(posix_shared_memory) {
    COVERS(openat, unlink, ftruncate);
    int fd = MUST(shm_open("/guest-test", O_RDWR | O_CREAT | O_EXCL, 0600));
    MUST(ftruncate(fd, kPage));
    show_child("child", [] {
        int other = MUST(shm_open("/guest-test", O_RDWR, 0));
        char* memory = (char*)MUST(mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, other, 0));
        strcpy(memory, "from child");
        return 0;
    });
    char* memory = (char*)MUST(mmap(nullptr, kPage, PROT_READ, MAP_SHARED, fd, 0));
    print("%s\n", memory);
    SHOW(shm_unlink("/guest-test"));
    SHOW(shm_unlink("/guest-test"));
}

CASE(system_v_shared_memory) {
    COVERS(shmget, shmat, shmdt, shmctl);
    COVERS_ERROR(shmget, shmat, shmdt, shmctl);
    int id = shmget(IPC_PRIVATE, 3 * kPage, IPC_CREAT | 0600);
    CHECK(id >= 0);
    auto* memory = (char*)shmat(id, nullptr, 0);
    CHECK(memory != (char*)-1);
    if (memory == (char*)-1) return;
    show_child("child", [&] {
        strcpy(memory, "shared");
        return 0;
    });
    print("%s\n", memory);
    shmid_ds state;
    SHOW(shmctl(id, IPC_STAT, &state));
    print("attached %lu, size %lu\n", (unsigned long)state.shm_nattch, (unsigned long)state.shm_segsz);
    SHOW(shmctl(id, IPC_RMID, nullptr));
    SHOW(shmdt(memory));
    SHOW(shmdt(memory));
    SHOW(shmctl(id, IPC_STAT, &state));
    SHOW(shmat(id, nullptr, 0));
    SHOW(shmget(0x1234567, 0, 0));
    SHOW(shmget(IPC_PRIVATE, 0, IPC_CREAT));
}

// F_SEAL_WRITE is refused while somebody may write through a shared mapping (fcntl(2)).
CASE(write_seal_and_mappings) {
    COVERS(fcntl, mmap);
    COVERS_ERROR(fcntl, mmap, mprotect);
    int fd = MUST(memfd_create("name", MFD_ALLOW_SEALING));
    MUST(ftruncate(fd, 2 * kPage));
    void* writable = MUST(mmap(nullptr, 2 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    SHOW(fcntl(fd, F_GET_SEALS));
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK));
    SHOW(fcntl(fd, F_GET_SEALS));
    MUST(munmap(writable, kPage));
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    // One that only reads could be made writable.
    MUST(mprotect((char*)writable + kPage, kPage, PROT_READ));
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    Turn mapped, done;
    pid_t pid = spawn([&] {
        mapped.signal();
        done.wait();
        return 0;
    });
    mapped.wait();
    MUST(munmap((char*)writable + kPage, kPage));
    print("mapped in another process\n");
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    done.signal();
    wait_for(pid);
    // Private ones do not count, nor those of a descriptor that cannot write.
    MUST(mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int reader = MUST(open(path, O_RDONLY));
    MUST(mmap(nullptr, kPage, PROT_READ, MAP_SHARED, reader, 0));
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    SHOW(fcntl(fd, F_GET_SEALS));
    SHOW_OK(mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    SHOW_OK(mmap(nullptr, kPage, PROT_READ, MAP_SHARED, reader, 0));
    SHOW_OK(mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
}

CASE(future_write_seal_and_mappings) {
    int fd = MUST(memfd_create("name", MFD_ALLOW_SEALING));
    MUST(ftruncate(fd, kPage));
    char* writable = (char*)MUST(mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    SHOW(fcntl(fd, F_ADD_SEALS, 0x10 /* F_SEAL_FUTURE_WRITE */));
    writable[0] = 'x';
    SHOW(write(fd, "y", 1));
    SHOW_OK(mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    void* readable = MUST(mmap(nullptr, kPage, PROT_READ, MAP_SHARED, fd, 0));
    SHOW(mprotect(readable, kPage, PROT_READ | PROT_WRITE));
    print("%c\n", *(char*)readable);
}
