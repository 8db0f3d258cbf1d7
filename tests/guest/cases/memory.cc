// Address spaces: mmap, munmap, mprotect, mremap, madvise, brk, copy-on-write.
#include <setjmp.h>

#include "case.h"

static char* map(size_t size, int protection = PROT_READ | PROT_WRITE, int flags = MAP_PRIVATE | MAP_ANONYMOUS) {
    return (char*)MUST(mmap(nullptr, size, protection, flags, -1, 0));
}

static const size_t kPage = 4096;

// What touching an address does: "ok", or the signal.
static sigjmp_buf escape;
static const char* probe(volatile char* address, bool write) {
    struct sigaction action = {};
    action.sa_handler = [](int signal) { siglongjmp(escape, signal); };
    sigaction(SIGSEGV, &action, nullptr);
    sigaction(SIGBUS, &action, nullptr);
    int signal = sigsetjmp(escape, 1);
    if (signal) return signal_name(signal);
    char value = *address;
    if (write) *address = value;
    return "ok";
}

CASE(mmap_anonymous_is_zero) {
    COVERS(mmap, munmap);
    char* memory = map(16 * kPage);
    bool zero = true;
    for (size_t i = 0; i < 16 * kPage; i++) zero &= memory[i] == 0;
    CHECK(zero);
    memset(memory, 'a', 16 * kPage);
    SHOW(munmap(memory, 16 * kPage));
    print("after munmap: %s\n", probe(memory, false));
}

CASE(mmap_errors) {
    COVERS_ERROR(mmap, munmap);
    auto failed = [](void* result) { return result == MAP_FAILED ? errno_name(errno) : "mapped"; };
    print("size 0: %s\n", failed(mmap(nullptr, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)));
    print("no type: %s\n", failed(mmap(nullptr, kPage, PROT_READ, MAP_ANONYMOUS, -1, 0)));
    print("bad fd: %s\n", failed(mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE, -1, 0)));
    print("unaligned offset: %s\n", failed((void*)syscall(SYS_mmap, 0, kPage, PROT_READ, MAP_PRIVATE, 0, 1)));
    print("unaligned fixed: %s\n",
          failed(mmap((void*)0x10001, kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)));
    print("too large: %s\n", failed(mmap(nullptr, 1ul << 48, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)));
    print("kernel half: %s\n", failed(mmap((void*)0xffff800000000000, kPage, PROT_READ,
                                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)));
    int null = MUST(open("/dev/null", O_RDWR));
    print("dev null: %s\n", failed(mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE, null, 0)));
    int pipes[2];
    MUST(pipe(pipes));
    print("pipe: %s\n", failed(mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE, pipes[0], 0)));
    SHOW(munmap((void*)0x10001, kPage));
    SHOW(munmap((void*)0x10000, 0));
    SHOW(munmap((void*)0x200000000000, kPage));
}

CASE(mmap_fixed_replaces) {
    COVERS(mmap);
    char* memory = map(4 * kPage);
    memset(memory, 'a', 4 * kPage);
    char* again = (char*)mmap(memory + kPage, 2 * kPage, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    CHECK(again == memory + kPage);
    print("%d %d %d %d\n", memory[0], memory[kPage], memory[2 * kPage], memory[3 * kPage]);
    void* refused = mmap(memory, kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    print("noreplace: %s\n", refused == MAP_FAILED ? errno_name(errno) : "mapped");
}

CASE(munmap_splits) {
    COVERS(munmap);
    char* memory = map(5 * kPage);
    memset(memory, 'b', 5 * kPage);
    SHOW(munmap(memory + kPage, kPage));
    SHOW(munmap(memory + 3 * kPage, kPage));
    for (int i = 0; i < 5; i++) print("page %d: %s\n", i, probe(memory + i * kPage, true));
    SHOW(munmap(memory, 5 * kPage));
    for (int i = 0; i < 5; i++) print("page %d: %s\n", i, probe(memory + i * kPage, false));
}

CASE(mprotect_changes_access) {
    COVERS(mprotect);
    COVERS_ERROR(mprotect);
    char* memory = map(3 * kPage);
    memory[kPage] = 'c';
    SHOW(mprotect(memory + kPage, kPage, PROT_READ));
    print("read: %s, write: %s\n", probe(memory + kPage, false), probe(memory + kPage, true));
    print("neighbours: %s %s\n", probe(memory, true), probe(memory + 2 * kPage, true));
    SHOW(mprotect(memory + kPage, kPage, PROT_NONE));
    print("none: %s\n", probe(memory + kPage, false));
    SHOW(mprotect(memory, 3 * kPage, PROT_READ | PROT_WRITE));
    print("again: %s, kept %c\n", probe(memory + kPage, true), memory[kPage]);
    SHOW(mprotect(memory + 1, kPage, PROT_READ));
    SHOW(mprotect(memory, kPage, 0x1000));
    munmap(memory + kPage, kPage);
    SHOW(mprotect(memory, 3 * kPage, PROT_READ));
    SHOW(mprotect(memory, 0, PROT_READ));
    int fd = MUST(open("/proc/self/exe", O_RDONLY));
    void* file = mmap(nullptr, kPage, PROT_READ, MAP_SHARED, fd, 0);
    SHOW(mprotect(file, kPage, PROT_READ | PROT_WRITE));
}

CASE(execute_needs_permission) {
    COVERS(mprotect);
    char* code = map(kPage);
    memcpy(code, "\xb8\x2a\x00\x00\x00\xc3", 6);  // mov $42, %eax; ret
    struct sigaction action = {};
    action.sa_handler = [](int signal) { siglongjmp(escape, signal); };
    sigaction(SIGSEGV, &action, nullptr);
    if (sigsetjmp(escape, 1) == 0) {
        ((int (*)())code)();
        print("ran without permission\n");
    } else {
        print("not executable\n");
    }
    const int result = mprotect(code, kPage, PROT_READ | PROT_EXEC);
    show_result("mprotect(code, kPage, PROT_READ | PROT_EXEC)", result);
    if (result != 0) return;  // the handler would come back here again and again
    print("result %d\n", ((int (*)())code)());
}

CASE(mremap_grows_and_moves) {
    COVERS(mremap);
    COVERS_ERROR(mremap);
    char* memory = map(8 * kPage);
    memset(memory, 'd', 2 * kPage);
    munmap(memory + 4 * kPage, 4 * kPage);
    CHECK(mremap(memory, 4 * kPage, 2 * kPage, 0) == memory);
    print("cut page: %s\n", probe(memory + 3 * kPage, false));
    char* moved = (char*)mremap(memory, 2 * kPage, 64 * kPage, MREMAP_MAYMOVE);
    CHECK(moved != MAP_FAILED);
    print("%c %c %d\n", moved[0], moved[2 * kPage - 1], moved[2 * kPage]);
    print("writable end: %s\n", probe(moved + 64 * kPage - 1, true));
    char* target = map(64 * kPage);
    CHECK(mremap(moved, 64 * kPage, 64 * kPage, MREMAP_MAYMOVE | MREMAP_FIXED, target) == target);
    print("%c, old place: %s\n", target[0], probe(moved, false));
    auto failed = [](void* result) { return result == MAP_FAILED ? errno_name(errno) : "mapped"; };
    print("unaligned: %s\n", failed(mremap(target + 1, kPage, 2 * kPage, MREMAP_MAYMOVE)));
    print("new size 0: %s\n", failed(mremap(target, kPage, 0, MREMAP_MAYMOVE)));
    print("unmapped: %s\n", failed(mremap(moved, kPage, 2 * kPage, MREMAP_MAYMOVE)));
    print("bad flags: %s\n", failed(mremap(target, kPage, 2 * kPage, 0x100)));
    print("no room: %s\n", failed(mremap(target, kPage, 2 * kPage, 0)));
}

CASE(mremap_into_the_table_that_it_empties) {
    constexpr size_t kTable = 2 << 20;  // what a page table maps
    char* memory = map(4 * kTable);
    char* table_end = (char*)(((uintptr_t)memory + 3 * kTable - 1) & ~(kTable - 1));
    char *from = table_end - kPage, *to = from - kTable;
    munmap(memory, 4 * kTable);
    MUST(mmap(from, 3 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == from ? 0 : -1);
    for (int i = 0; i < 3; i++) from[i * kPage] = (char)('a' + i);
    CHECK(mremap(from, 3 * kPage, 3 * kPage, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
    print("%c %c %c\n", to[0], to[kPage], to[2 * kPage]);
}

CASE(madvise_dontneed_zeroes) {
    COVERS(madvise);
    COVERS_ERROR(madvise);
    char* memory = map(4 * kPage);
    memset(memory, 'e', 4 * kPage);
    SHOW(madvise(memory + kPage, 2 * kPage, MADV_DONTNEED));
    print("%d %d %d %d\n", memory[0], memory[kPage], memory[2 * kPage], memory[3 * kPage]);
    SHOW(madvise(memory, kPage, MADV_WILLNEED));
    SHOW(madvise(memory, kPage, MADV_NORMAL));
    SHOW(madvise(memory, kPage, MADV_FREE));
    SHOW(madvise(memory, kPage, 9999));
    SHOW(madvise(memory + 1, kPage, MADV_DONTNEED));
    munmap(memory + kPage, kPage);
    SHOW(madvise(memory, 4 * kPage, MADV_DONTNEED));
}

CASE(madvise_for_fork) {
    COVERS(madvise);
    char* memory = map(3 * kPage);
    memset(memory, 'f', 3 * kPage);
    SHOW(madvise(memory + kPage, kPage, MADV_DONTFORK));
    SHOW(madvise(memory + 2 * kPage, kPage, MADV_WIPEONFORK));
    show_child("child", [&] {
        print("%s %s %d\n", probe(memory, false), probe(memory + kPage, false), memory[2 * kPage]);
        return 0;
    });
    SHOW(madvise(memory + kPage, kPage, MADV_DOFORK));
    SHOW(madvise(memory + 2 * kPage, kPage, MADV_KEEPONFORK));
    show_child("child", [&] {
        print("%s %s %d\n", probe(memory, false), probe(memory + kPage, false), memory[2 * kPage]);
        return 0;
    });
}

CASE(brk_moves) {
    COVERS(brk);
    COVERS_ERROR(brk);
    char* start = (char*)sbrk(0);
    CHECK(sbrk(10 * kPage) == start);
    memset(start, 'g', 10 * kPage);
    CHECK(sbrk(0) == start + 10 * kPage);
    CHECK(sbrk(-10 * (long)kPage) == start + 10 * kPage);
    CHECK(sbrk(10 * kPage) == start);
    print("fresh: %d\n", start[5 * kPage]);
    SHOW(brk((void*)0x7fffffff0000));
    CHECK(syscall(SYS_brk, 0) == (long)(start + 10 * kPage));
}

CASE(copy_on_write_checksums) {
    const size_t size = 256 * kPage;
    char* memory = map(size);
    for (size_t i = 0; i < size; i++) memory[i] = (char)(i * 7 + i / kPage);
    auto checksum = [&] {
        unsigned long sum = 0;
        for (size_t i = 0; i < size; i++) sum = sum * 31 + (unsigned char)memory[i];
        return sum;
    };
    unsigned long before = checksum();
    pid_t pids[4];
    for (int child = 0; child < 4; child++)
        pids[child] = spawn([&] {
            if (checksum() != before) return 1;
            for (size_t page = child; page < 256; page += 4) memory[page * kPage] ^= 0x55;
            if (checksum() == before) return 2;
            for (size_t page = child; page < 256; page += 4) memory[page * kPage] ^= 0x55;
            return checksum() == before ? 0 : 3;
        });
    for (pid_t pid : pids) print("%s\n", decode_status(wait_for(pid)));
    CHECK(checksum() == before);
}

CASE(nested_forks_with_writes) {
    char* memory = map(64 * kPage);
    memset(memory, 1, 64 * kPage);
    show_child("first", [&] {
        memset(memory, 2, 32 * kPage);
        int status = wait_for(spawn([&] {
            memset(memory + 16 * kPage, 3, 32 * kPage);
            return memory[0] * 16 + memory[20 * kPage] * 4 + memory[60 * kPage];
        }));
        print("grandchild %s, child sees %d %d\n", decode_status(status), memory[20 * kPage], memory[40 * kPage]);
        return memory[0];
    });
    print("parent sees %d %d\n", memory[0], memory[20 * kPage]);
}

CASE(kernel_writes_break_sharing) {
    // read(2) into a page shared after fork must copy it first.
    char* memory = map(kPage);
    strcpy(memory, "before");
    Turn read_done;
    pid_t pid = spawn([&] {
        read_done.wait();
        print("child sees %s\n", memory);
        return 0;
    });
    int fds[2];
    MUST(pipe(fds));
    MUST(write(fds[1], "after", 6));
    SHOW(read(fds[0], memory, 6));
    read_done.signal();
    wait_for(pid);
    print("parent sees %s\n", memory);
}

CASE(mincore_msync_mlock) {
    COVERS(mincore, msync, mlock, munlock, mlockall, munlockall);
    COVERS_ERROR(mincore, msync, mlock, munlock, mlockall);
    char* memory = map(2 * kPage);
    memory[0] = 1;
    unsigned char resident[2] = {};
    SHOW(mincore(memory, 2 * kPage, resident));
    print("%d %d\n", resident[0] & 1, resident[1] & 1);
    SHOW(mincore(memory + 1, kPage, resident));
    SHOW(mincore(memory, kPage, (unsigned char*)bad_address()));
    SHOW(mlock(memory, 2 * kPage));
    SHOW(munlock(memory, 2 * kPage));
    SHOW(mlockall(MCL_CURRENT));
    SHOW(munlockall());
    SHOW(mlockall(0x100));
    SHOW(msync(memory, kPage, MS_SYNC));
    SHOW(msync(memory, kPage, MS_SYNC | MS_ASYNC));
    SHOW(msync(memory + 1, kPage, MS_SYNC));
    munmap(memory, 2 * kPage);
    SHOW(msync(memory, kPage, MS_SYNC));
    SHOW(mincore(memory, kPage, resident));
    SHOW(mlock(memory, kPage));
    SHOW(munlock(memory, kPage));
}

CASE(large_mapping_is_lazy) {
    // More than the machine's memory; only touched pages count.
    char* memory = map(1ul << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
    for (size_t offset = 0; offset < 1ul << 30; offset += 64ul << 20) memory[offset] = 1;
    long sum = 0;
    for (size_t offset = 0; offset < 1ul << 30; offset += 64ul << 20) sum += memory[offset];
    print("touched %ld\n", sum);
}
