// Page faults and mappings.
#include <fcntl.h>

#include "bench.h"

static const size_t kPage = 4096;

ROW(fault_first_touch_write) {
    char* memory = map_pages(2048 * kPage, MADV_NOHUGEPAGE);
    volatile char* next = memory;
    measure(name, 1000, [&] { *next = 1, next += kPage; });
}

ROW(fault_first_touch_read) {
    char* memory = map_pages(2048 * kPage, MADV_NOHUGEPAGE);
    volatile char* next = memory;
    measure(name, 1000, [&] { (void)*next, next += kPage; });
}

ROW(fault_thp_2MiB) {
    const size_t huge = 2 << 20;
    char* memory = map_pages(24 * huge, MADV_HUGEPAGE);
    memory = (char*)(((uintptr_t)memory + huge - 1) & ~(huge - 1));
    volatile char* next = memory;
    measure(name, 15, [&] { *next = 1, next += huge; }, 2);
}

// A child writes to pages that it shares with its parent: each write copies a page.
ROW(fault_cow_copy) {
    char* memory = map_pages(1100 * kPage, MADV_NOHUGEPAGE);
    memset(memory, 1, 1100 * kPage);
    pid_t pid = fork();
    if (pid == 0) {
        volatile char* next = memory;
        measure(name, 1000, [&] { *next = 2, next += kPage; }, 50);
        _exit(0);
    }
    wait_child(pid);
}

// The parent writes after the child is gone: each write takes the page over.
ROW(fault_cow_reuse) {
    char* memory = map_pages(1100 * kPage, MADV_NOHUGEPAGE);
    memset(memory, 1, 1100 * kPage);
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    wait_child(pid);
    volatile char* next = memory;
    measure(name, 1000, [&] { *next = 2, next += kPage; }, 50);
}

ROW(mmap_munmap_1pg) {
    measure(name, 500, [] {
        void* page = mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        munmap(page, kPage);
    });
}

ROW(mmap_touch_munmap_1pg) {
    measure(name, 500, [] {
        auto* page = (char*)mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        *(volatile char*)page = 1;
        munmap(page, kPage);
    });
}

ROW(mprotect_pair) {
    char* memory = map_pages(16 * kPage, MADV_NOHUGEPAGE);
    memset(memory, 1, 16 * kPage);
    measure(name, 500, [&] {
        mprotect(memory + 4 * kPage, kPage, PROT_READ);
        mprotect(memory + 4 * kPage, kPage, PROT_READ | PROT_WRITE);
    });
}

ROW(brk_grow_shrink) {
    sbrk(0);
    measure(name, 500, [] {
        sbrk(kPage);
        sbrk(-(long)kPage);
    });
}

ROW(mmapfile_touch_munmap) {
    int fd = open("/tmp/isobench.map", O_RDWR | O_CREAT | O_TRUNC, 0600);
    check(fd >= 0, "open");
    static char block[16 * kPage];
    check(write(fd, block, sizeof block) == sizeof block, "write");
    measure(name, 300, [&] {
        auto* file = (volatile char*)mmap(nullptr, kPage, PROT_READ, MAP_SHARED, fd, 4 * kPage);
        (void)*file;
        munmap((void*)file, kPage);
    });
    unlink("/tmp/isobench.map");
}
